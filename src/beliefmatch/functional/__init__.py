"""The mathematics: tensors in, tensors out, one value per example. The same function is loss and metric."""
