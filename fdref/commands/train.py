"""`fdref train`: train the shipped networks anew."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import fdref
from fdref.commands.messages import add_quiet, printable, tell, telling_what_is_kept
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.errors import ArgumentError, FileError
from fdref.files.whole import check_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from fdref.layers import Layer
    from fdref.training.recipe import Recipe
    from fdref.training.sgd import Labelled, Training

IMAGES = 60_000
"""Of CIFAR-10."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train the shipped networks anew",
        description="Train the LeNet on MNIST, or MatConvNet's network for CIFAR-10, as the "
        "shipped ones were. After each epoch all is kept in FILE.checkpoint, from which the same "
        "command goes on as if nothing had happened.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--mnist", metavar="DIR", type=Path, help="folder of MNIST's four IDX files")
    which.add_argument(
        "--cifar",
        metavar="FILE|DIR",
        type=Path,
        help="CIFAR-10: JPEGs train/CLASS/*.jpg and test/CLASS/*.jpg, or the binary version, in a "
        "folder or a .tar, .tar.gz or .tar.xz",
    )
    add = parser.add_argument
    add(
        "--whiten",
        action="store_true",
        help="put a layer first that whitens the images of --cifar, and does not learn",
    )
    add("--epochs", metavar="N", type=int, help="(20 for MNIST, 24 for CIFAR-10)")
    add("--seed", metavar="N", type=int, default=0, help="same seed, same file (0)")
    add("--resume", action="store_true", help="go on from FILE.checkpoint, or not at all")
    add(
        "-o",
        dest="path",
        metavar="FILE",
        type=named,
        help="(lenet.mat, cifar.mat or cifar-whitened.mat)",
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train epoch by epoch, and write the network when the last is done."""
    from fdref.training import sgd  # noqa: PLC0415 - only where it is used

    recipe = chosen(options)
    path: Path = options.path or Path(f"{recipe.name}.mat")
    checkpoint = check(options, recipe, path)
    data = read(options)
    if options.whiten:
        recipe = recipe.behind(whitening_of(data, options))
    state = begin(options, recipe, path, checkpoint)
    sgd.save_checkpoint(state, checkpoint)  # what the disk refuses, it refuses now
    average = sgd.average_image(data.train)
    with telling_what_is_kept(), going_on():
        while state.epoch < recipe.epochs:
            since = perf_counter()
            what, images = f"epoch {state.epoch + 1}", len(data.train.labels)
            with progress_bar(what, images, quiet=options.quiet) as advance:
                state = train_epoch(state, data.train, advance)
            sgd.save_checkpoint(state, checkpoint)
            test_error = sgd.error_rate(recipe.network(state.weights, average), data.test)
            tell(options, told(state, test_error, perf_counter() - since))
        net = recipe.network(state.weights, average)
        wrong = sgd.error_rate(net, data.test)
        provenance = (
            f"fdref {fdref.__version__}, fdref train {data.option} --epochs {recipe.epochs} "
            f"--seed {options.seed}, {data.version}, test error {wrong:.2%}"
        )
        if not path.exists():
            fdref.save(recipe.network(state.weights, average, provenance), path)
        elif fdref.load(path).provenance != provenance:
            raise exists(path)
    checkpoint.unlink(missing_ok=True)
    right = f"{1 - wrong:.2%} of {len(data.test.labels):,} test images right"
    tell(options, f"wrote {printable(str(path))}: {right}")


class Data(NamedTuple):
    """What a network is trained and tested with, what that is, and the option that names it."""

    train: Labelled
    test: Labelled
    version: str
    option: str


def chosen(options: argparse.Namespace) -> Recipe:
    """Return the recipe for what is to be learned."""
    from fdref.training import recipe as recipes  # noqa: PLC0415 - only where it is used

    if options.mnist is None:
        recipe = recipes.CIFAR_WHITENED if options.whiten else recipes.CIFAR
    elif options.whiten:
        raise ArgumentError(
            "--whiten comes with --mnist, whose digits are trained on as they are; expected "
            "--cifar: leave one of them out"
        )
    else:
        recipe = recipes.LENET
    return recipe if options.epochs is None else recipe.lasting(options.epochs)


def read(options: argparse.Namespace) -> Data:
    """Read what is to be learned."""
    if options.mnist is not None:
        return Data(*fdref.mnist(options.mnist), "MNIST", "--mnist")
    with progress_bar("reading", IMAGES, quiet=options.quiet) as advance:
        option = "--cifar --whiten" if options.whiten else "--cifar"
        return Data(*fdref.cifar(options.cifar, advance), option)


def whitening_of(data: Data, options: argparse.Namespace) -> Layer:
    """Measure how to whiten the training images."""
    from fdref.training.whitening import whitening  # noqa: PLC0415 - only where it is used

    images = data.train.images
    with progress_bar("whitening", len(images), quiet=options.quiet) as advance:
        return whitening(images, progress=advance)


@contextmanager
def going_on() -> Iterator[None]:
    """Note with whatever ends training early, but that it diverged, that nothing need be lost."""
    goes_on = "the same command goes on after the last epoch"
    try:
        yield
    except ArgumentError:
        raise
    except BrokenPipeError:  # nobody listens
        raise KeyboardInterrupt(f"; {goes_on}") from None
    except BaseException as error:
        error.add_note(goes_on)
        raise


def check(options: argparse.Namespace, recipe: Recipe, path: Path) -> Path:
    """Refuse what could only fail after a long time; return where to keep the checkpoint."""
    if recipe.epochs < 1 or not 0 <= options.seed < 2**63:
        raise ArgumentError(
            f"--epochs {recipe.epochs} --seed {options.seed}; expected at least 1, and 0 to 2^63-1"
        )
    check_file(path)
    checkpoint = path.with_name(f"{path.name}.checkpoint")
    check_file(checkpoint)
    if path.exists() and not checkpoint.exists():
        raise exists(path)
    return checkpoint


def begin(options: argparse.Namespace, recipe: Recipe, path: Path, checkpoint: Path) -> Training:
    """Go on from a checkpoint, or start."""
    from fdref.training import sgd  # noqa: PLC0415

    if not options.resume and not checkpoint.exists():
        return sgd.start(recipe, options.seed)
    state = sgd.read_checkpoint(recipe, checkpoint)
    anew = "delete it to start anew"
    if state.seed != options.seed or state.epoch > recipe.epochs:
        raise ArgumentError(
            f"{checkpoint} is of seed {state.seed} after {state.epoch} epochs; "
            f"expected seed {options.seed} and at most {recipe.epochs}: {anew}"
        )
    if state.rates != tuple(map(recipe.rate, range(state.epoch))):
        raise ArgumentError(
            f"{checkpoint} has {state.epoch} epochs of a run that is to last longer or less long; "
            f"with --epochs {recipe.epochs} their learning rates are others: {anew}"
        )
    if path.exists() and state.epoch < recipe.epochs:
        raise exists(path)  # unless the last process died when it had written it
    return state


def exists(path: Path) -> FileError:
    """Make the error."""
    return FileError(f"{path} exists already; delete it or choose another -o")


def train_epoch(state: Training, data: Labelled, advance: Callable[[int, str], object]) -> Training:
    """Go once through the images, and show the averages so far and the time it still takes."""
    from fdref.training import sgd  # noqa: PLC0415

    seen, loss_sum, error_sum = 0, 0.0, 0.0

    def progress(count: int, loss: float, error: float) -> None:
        nonlocal seen, loss_sum, error_sum
        seen, loss_sum, error_sum = seen + count, loss_sum + count * loss, error_sum + count * error
        advance(count, f"loss {loss_sum / seen:.4f}, error {error_sum / seen:.2%}")

    return sgd.train_epoch(state, data, progress)


def told(state: Training, test_error: float, seconds: float) -> str:
    """Return one line for an epoch that is done."""
    epochs = state.recipe.epochs
    left = seconds * (epochs - state.epoch)
    return (
        f"epoch {state.epoch}/{epochs}: loss {state.losses[-1]:.4f}, error {state.errors[-1]:.2%}, "
        f"test error {test_error:.2%}, {seconds:.1f} s"
        + (f", about {left / 60:.0f} min left" if left else "")
    )
