"""What can be typed: names, options, help. What a command does is imported when it is called: it takes a second."""
