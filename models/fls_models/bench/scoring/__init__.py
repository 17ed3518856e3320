"""From replies to scores, tables and plots."""
