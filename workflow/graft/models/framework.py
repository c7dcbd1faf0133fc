"""Keras on TensorFlow, set up so that the same inputs give the same bytes on any number of cores.

Everything that needs Keras imports it from here: the settings hold only if they come first.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graft.common.environment import is_gpu_allowed, take_environment
from graft.common.errors import UserError
from graft.common.keras_process import need_keras

# Another number of threads divides sums in another way and changes the last bits, so the number is
# the project's and not the machine's. Four cost 9 % on two cores and let larger machines gain.
_THREADS = 4


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps TensorFlow's start-up notices to itself; they show if the start fails.

    They come from C++ before any log level is read, so only the file descriptor can hold them.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except UserError:  # it says all
            raise
        except BaseException:
            notices.seek(0)
            os.write(kept, notices.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _naming_settings() -> Iterator[None]:
    """Names keras.json where TensorFlow or Keras cannot be imported because of it."""
    try:
        yield
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        home = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
        if not (settings := Path(home, "keras.json")).is_file():
            raise
        raise UserError(
            f"{settings} must be as Keras writes it: delete it. Received: "
            + " ".join(settings.read_text(encoding="utf-8", errors="replace")[:200].split())
        ) from error


need_keras()
take_environment()
if not is_gpu_allowed():
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
with quiet(), _naming_settings():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    tf.config.experimental.enable_op_determinism()
    # float32 is float32 on a card too, and not the 19 bits that it multiplies by default.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for card in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(card, True)  # others may use the rest
    import keras

    # What keras.json of a person says: another type of numbers, another order of pixels.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")

    # Its advice about functions that are traced again means the training of many models in a row.
    tf.get_logger().setLevel("ERROR")
    tf.config.list_logical_devices()

__all__ = ["keras", "name_device", "quiet", "tf"]


def name_device() -> str:
    """What TensorFlow computes on in this process: `CPU`, or the name of a graphics card."""
    for card in tf.config.get_visible_devices("GPU"):
        return tf.config.experimental.get_device_details(card).get("device_name", card.name)
    return "CPU"
