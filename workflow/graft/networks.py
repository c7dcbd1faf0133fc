"""The networks that `backbone.name` may be, with what is checked before TensorFlow is imported.

The numbers are those of the pinned Keras; a test compares them with the networks themselves.
"""

from typing import NamedTuple


class Network(NamedTuple):
    """What params.yaml is checked against.

    Attributes:
        layers: how many layers the network has without its classifier, input included.
        sides: the smallest and largest side that it takes, in pixels.
        imagenet: whether Keras offers ImageNet weights for it.
    """

    layers: int
    sides: tuple[int, int]
    imagenet: bool = True


NETWORKS = {
    "cnn": Network(layers=34, sides=(32, 96), imagenet=False),
    "ConvNeXtBase": Network(layers=259, sides=(32, 1024)),
    "ConvNeXtLarge": Network(layers=259, sides=(32, 1024)),
    "ConvNeXtSmall": Network(layers=259, sides=(32, 1024)),
    "ConvNeXtTiny": Network(layers=133, sides=(32, 1024)),
    "ConvNeXtXLarge": Network(layers=259, sides=(32, 1024)),
    "DenseNet121": Network(layers=427, sides=(32, 1024)),
    "DenseNet169": Network(layers=595, sides=(32, 1024)),
    "DenseNet201": Network(layers=707, sides=(32, 1024)),
    "EfficientNetB0": Network(layers=237, sides=(32, 1024)),
    "EfficientNetB1": Network(layers=339, sides=(32, 1024)),
    "EfficientNetB2": Network(layers=339, sides=(32, 1024)),
    "EfficientNetB3": Network(layers=384, sides=(32, 1024)),
    "EfficientNetB4": Network(layers=474, sides=(32, 1024)),
    "EfficientNetB5": Network(layers=576, sides=(32, 1024)),
    "EfficientNetB6": Network(layers=666, sides=(32, 1024)),
    "EfficientNetB7": Network(layers=813, sides=(32, 1024)),
    "EfficientNetV2B0": Network(layers=270, sides=(32, 1024)),
    "EfficientNetV2B1": Network(layers=334, sides=(32, 1024)),
    "EfficientNetV2B2": Network(layers=349, sides=(32, 1024)),
    "EfficientNetV2B3": Network(layers=409, sides=(32, 1024)),
    "EfficientNetV2L": Network(layers=1028, sides=(32, 1024)),
    "EfficientNetV2M": Network(layers=740, sides=(32, 1024)),
    "EfficientNetV2S": Network(layers=513, sides=(32, 1024)),
    "InceptionResNetV2": Network(layers=780, sides=(75, 1024)),
    "InceptionV3": Network(layers=311, sides=(75, 1024)),
    "MobileNet": Network(layers=86, sides=(32, 1024)),
    "MobileNetV2": Network(layers=154, sides=(32, 1024)),
    "MobileNetV3Large": Network(layers=187, sides=(32, 1024)),
    "MobileNetV3Small": Network(layers=157, sides=(32, 1024)),
    "NASNetLarge": Network(layers=1012, sides=(32, 1024)),
    "NASNetMobile": Network(layers=769, sides=(32, 1024)),
    "ResNet101": Network(layers=345, sides=(32, 1024)),
    "ResNet101V2": Network(layers=377, sides=(32, 1024)),
    "ResNet152": Network(layers=515, sides=(32, 1024)),
    "ResNet152V2": Network(layers=564, sides=(32, 1024)),
    "ResNet50": Network(layers=175, sides=(32, 1024)),
    "ResNet50V2": Network(layers=190, sides=(32, 1024)),
    "VGG16": Network(layers=19, sides=(32, 1024)),
    "VGG19": Network(layers=22, sides=(32, 1024)),
    "Xception": Network(layers=132, sides=(71, 1024)),
}
