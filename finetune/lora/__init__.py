"""What all LoRA trainers share: settings, adapters, rows of tokens, and one training loop. It knows no kind of model."""
