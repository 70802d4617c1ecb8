"""Campaigns: the ask/tell loop over one rig, kept in a store."""
