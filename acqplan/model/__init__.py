"""Gaussian processes over shots: what captured images say of those not taken yet."""
