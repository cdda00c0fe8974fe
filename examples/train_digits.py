"""Train a small model on scikit-learn's handwritten digits and report everything with ClearML's own SDK.

    pip install clearml scikit-learn
    tidemark serve                         # in one shell
    eval "$(tidemark keys)"                # in another
    python examples/train_digits.py

Nothing here knows Tidemark: it is what any training script with `clearml` looks like.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from pathlib import Path

import numpy as np
from clearml import OutputModel, Task
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


def gallery(images: np.ndarray, columns: int = 8, zoom: int = 6) -> np.ndarray:
    """Digits (n, 8, 8) with values 0 to 16 side by side, as one greyscale picture (height, width), uint8."""
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * 9, columns * 9))
    for number, image in enumerate(images):
        top, left = number // columns * 9, number % columns * 9
        sheet[top : top + 8, left : left + 8] = image
    return np.kron(sheet / 16 * 255, np.ones((zoom, zoom))).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=32, help="neurons of the hidden layer")
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=7)

    task = Task.init("Examples", "digits", reuse_last_task_id=False, output_uri=True)
    options = parser.parse_args()  # the SDK records it as hyper-parameters
    logger = task.get_logger()

    digits = load_digits()
    x = StandardScaler().fit_transform(digits.data)
    split = train_test_split(x, digits.target, digits.images, test_size=0.25, random_state=options.seed, stratify=digits.target)
    x_train, x_test, y_train, y_test, _, images = split
    print(f"{len(x_train)} digits to learn from, {len(x_test)} to be tested with")

    model = MLPClassifier((options.hidden,), learning_rate_init=options.learning_rate, batch_size=64, random_state=options.seed)
    classes = np.arange(10)
    for epoch in range(options.epochs):
        model.partial_fit(x_train, y_train, classes=classes)
        accuracy = {"train": model.score(x_train, y_train), "test": model.score(x_test, y_test)}
        for split_name, part, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
            logger.report_scalar("loss", split_name, log_loss(labels, model.predict_proba(part), labels=classes), epoch)
            logger.report_scalar("accuracy", split_name, accuracy[split_name], epoch)
        if epoch % 5 == 0 or epoch == options.epochs - 1:
            logger.report_histogram("weights", "hidden layer", model.coefs_[0].ravel(), iteration=epoch)
            guessed = model.predict(x_test)
            wrong = images[guessed != y_test][:32]
            logger.report_image("mistakes", "test", iteration=epoch, image=gallery(wrong if len(wrong) else images[:1]))
            print(f"epoch {epoch}: {accuracy['test']:.1%} of the test digits are right")

    guessed = model.predict(x_test)
    matrix = confusion_matrix(y_test, guessed)
    labels = [str(digit) for digit in classes]
    logger.report_confusion_matrix(
        "confusion", "test", matrix, iteration=options.epochs - 1, xaxis="guessed", yaxis="is", xlabels=labels, ylabels=labels
    )
    logger.report_single_value("test accuracy", accuracy["test"])
    logger.report_single_value("parameters", float(sum(w.size for w in (*model.coefs_, *model.intercepts_))))
    task.upload_artifact("mistakes", {"is": y_test[guessed != y_test].tolist(), "guessed": guessed[guessed != y_test].tolist()})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.pkl"
        path.write_bytes(pickle.dumps(model))
        output = OutputModel(
            task=task, name="digits classifier", framework="ScikitLearn", label_enumeration={label: int(label) for label in labels}
        )
        output.update_weights(str(path), auto_delete_file=False, async_enable=False)  # uploaded when it returns
    task.close()
    print(f"task {task.id}")


if __name__ == "__main__":
    main()
