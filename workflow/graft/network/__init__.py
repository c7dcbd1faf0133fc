"""What is known of networks, and of files that hold them, without TensorFlow."""
