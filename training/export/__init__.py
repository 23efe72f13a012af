"""From a trained model to a bundle with its model card."""
