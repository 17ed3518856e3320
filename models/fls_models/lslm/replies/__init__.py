"""How replies are written: token by token, with guesses at what comes next."""
