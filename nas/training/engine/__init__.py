"""Steps of a training: data and weights on a device, and engines made once for all steps."""
