"""Features: images through a frozen, pretrained backbone."""
