"""What is wrong or suspicious in data, found once and said once."""
