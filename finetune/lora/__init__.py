"""What all LoRA trainers share: settings, adapters, rows of tokens, one training loop. Knows no kind of model."""
