"""What every estimator that trains a network is made of; the families stand upon it."""
