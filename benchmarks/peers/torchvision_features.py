"""The same as `keras_features.py`, by torchvision and scikit-learn.

python torchvision_features.py FOLDER WEIGHTS
"""

import sys

import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

weights = torchvision.models.MobileNet_V2_Weights.DEFAULT if sys.argv[2] != "none" else None
images = torchvision.datasets.ImageFolder(
    sys.argv[1],
    torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize((160, 160)),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    ),
)
network = torchvision.models.mobilenet_v2(weights=weights).eval()
network.classifier = torch.nn.Identity()
with torch.inference_mode():
    batches = torch.utils.data.DataLoader(images, batch_size=32, num_workers=2)
    features = torch.cat([network(x) for x, _ in batches]).numpy()
parts = train_test_split(features, images.targets, test_size=0.2, random_state=1)
print(LogisticRegression(max_iter=1000).fit(parts[0], parts[2]).score(parts[1], parts[3]))
