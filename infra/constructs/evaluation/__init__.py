"""From the samples queue to the message in the chat."""
