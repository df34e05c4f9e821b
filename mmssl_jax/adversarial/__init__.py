"""The adversarial game of MMSSL: relation rows, real rows, and the critic between them."""
