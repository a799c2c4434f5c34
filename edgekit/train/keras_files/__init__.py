"""Opens Keras models of other people, of any version and file format, without running code from them."""
