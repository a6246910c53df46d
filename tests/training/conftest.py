"""What holds for all tests of training."""

import torch

torch.set_num_threads(1)  # the machines of CI have two cores for two workers
