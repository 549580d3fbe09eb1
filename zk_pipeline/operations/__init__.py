"""What a person can ask for, whoever asks: one module for each matter, used by command line, REST API and console."""
