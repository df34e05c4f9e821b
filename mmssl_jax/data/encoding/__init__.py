"""Features made from the items' texts and images by pretrained models."""
