"""The same as `keras_finetuning.py`, by PyTorch and torchvision.

python torchvision_finetuning.py FOLDER WEIGHTS EPOCHS

Batch normalisation stays in inference mode, as in Keras' guide, and tensors have the channels last,
which is PyTorch's faster way on a processor.
"""

import sys

import torch
import torchvision
from torch import nn
from torchvision.transforms import v2

folder, weights, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
side, means, deviations = (160, 160), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
plain = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(means, deviations)]
changes = [v2.RandomHorizontalFlip(), v2.RandomRotation(10)]
views = [v2.Compose([v2.Resize(side), *more, *plain]) for more in (changes, [])]
images, judged = (torchvision.datasets.ImageFolder(folder, view) for view in views)
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1)).tolist()
cut = len(images) * 4 // 5
train = torch.utils.data.DataLoader(
    torch.utils.data.Subset(images, order[:cut]), batch_size=32, shuffle=True, num_workers=1
)
valid = torch.utils.data.DataLoader(torch.utils.data.Subset(judged, order[cut:]), batch_size=32)
known = None if weights == "none" else torchvision.models.MobileNet_V2_Weights.DEFAULT
network = torchvision.models.mobilenet_v2(weights=known).to(memory_format=torch.channels_last)
network.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, len(images.classes)))
loss = nn.CrossEntropyLoss()


def measure() -> float:
    """The accuracy on the validation part."""
    network.eval()
    with torch.inference_mode():
        found = [network(x).argmax(1) == y for x, y in valid]
    return torch.cat(found).float().mean().item()


for trainable, rate in ((False, 1e-3), (True, 1e-5)):
    network.features.requires_grad_(trainable)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learned, rate)
    for _ in range(epochs):
        network.eval()  # batch normalisation
        network.classifier.train()
        for x, y in train:
            optimizer.zero_grad()
            loss(network(x.to(memory_format=torch.channels_last)), y).backward()
            optimizer.step()
        accuracy = measure()
print(accuracy)
