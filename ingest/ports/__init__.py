"""What flows need from outside: `move` to carry conversations, `inspect` to look at them."""
