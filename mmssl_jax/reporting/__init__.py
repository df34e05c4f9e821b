"""What runs did, as one page to read: `mmssl report`."""
