"""What training hears and reads."""
