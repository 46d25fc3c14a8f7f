"""What is shown of the things of the business, for the command line and the API alike."""
