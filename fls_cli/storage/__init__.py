"""Files, folders and settings of this user."""
