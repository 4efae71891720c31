"""The examples run, and say what they should."""

import gzip
import importlib.util
import io
import runpy
import sys
import time
from functools import partial
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from sklearn.datasets import load_digits

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BENCHMARKS = EXAMPLES.parent / "benchmarks"


@pytest.fixture
def example(request, monkeypatch):
    if request.param == "dask_cluster":
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.syspath_prepend(EXAMPLES)  # one takes what another has
    spec = importlib.util.spec_from_file_location(request.param, EXAMPLES / f"{request.param}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def digits():
    images, labels = load_digits(return_X_y=True)
    return images.astype(np.uint8).reshape(-1, 8, 8), labels.astype(np.uint8)


demo = pytest.mark.parametrize("example", ["fashion_mnist_rpp"], indirect=True)


@demo
@pytest.mark.filterwarnings("ignore:Solver produced non-finite")
def test_the_rpp_demo_draws_five_lines_and_prints_a_table(example, digits, tmp_path, monkeypatch, capsys):
    images, labels = digits
    np.savez(tmp_path / "small.npz", x_train=images[:600], y_train=labels[:600])
    picture = tmp_path / "picture.png"
    drawn = []
    monkeypatch.setattr(
        sys, "argv", ["", "--data", str(tmp_path / "small.npz"), "--epochs", "3", "--output", str(picture)]
    )
    draw = example.draw
    monkeypatch.setattr(example, "draw", lambda curves, *rest: (drawn.append(curves), draw(curves, *rest)))
    example.main()
    assert matplotlib.image.imread(picture).shape[2] == 4
    assert [len(curve) for curve in drawn[0].values()] == [3] * 5
    printed = capsys.readouterr().out
    assert "small: 497 training and 103 test images of 64 pixels" in printed
    for name, size in (
        ("RPP", "22,650"),
        ("RPP, no bias", "20,650"),
        ("dense 1000", "1,076,010"),
        ("dense 10", "870"),
        ("softmax", "650"),
    ):
        assert f"{name} ({size} parameters)" in drawn[0]
        assert any(line.startswith(name) and size in line for line in printed.splitlines())


@demo
@pytest.mark.parametrize("zipped", [False, True])
def test_the_rpp_demo_reads_idx_files(example, digits, tmp_path, zipped):
    images, labels = digits
    parts = {
        "train-images-idx3": images[:50],
        "train-labels-idx1": labels[:50],
        "t10k-images-idx3": images[50:70],
        "t10k-labels-idx1": labels[50:70],
    }
    for name, array in parts.items():
        content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()
        if zipped:
            (tmp_path / f"{name}-ubyte.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / f"{name}-ubyte").write_bytes(content)
    _, X_train, y_train, X_test, y_test = example.load(tmp_path)
    np.testing.assert_allclose(X_train, images[:50].reshape(50, 64) / 16)
    np.testing.assert_allclose(X_test, images[50:70].reshape(20, 64) / 16)
    np.testing.assert_array_equal(y_train, labels[:50])
    np.testing.assert_array_equal(y_test, labels[50:70])


@demo
def test_the_rpp_demo_falls_back_to_digits(example, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(example, "get_data_home", lambda: tmp_path)
    monkeypatch.setattr(example, "reachable", lambda url: False)
    name, X_train, *_ = example.load(None)
    assert name == "scikit-learn's digits"
    assert X_train.shape[1] == 64
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "no answer" in printed


@demo
def test_a_server_that_does_not_answer_is_given_up_soon(example, monkeypatch):
    monkeypatch.setattr(example.urllib.request, "urlopen", lambda url, timeout: time.sleep(2) or io.BytesIO())
    start = time.perf_counter()
    assert not example.reachable("https://example.invalid", seconds=0.2)
    assert time.perf_counter() - start < 1.5


@demo
def test_any_answer_of_a_server_counts(example, monkeypatch):
    def refuse(url, timeout):
        raise example.urllib.error.HTTPError(url, 403, "forbidden", {}, None)

    monkeypatch.setattr(example.urllib.request, "urlopen", refuse)
    assert example.reachable("https://example.invalid")


@pytest.mark.parametrize("example", ["widest_layer"], indirect=True)
@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_widest_layer_in_memory_and_in_a_file(example, in_a_file, tmp_path, monkeypatch, capsys):
    file = ["--file", str(tmp_path / "weights.npy")] if in_a_file else []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["", "--exponent", "14", *file])
        example.main()
        assert f"| 16,384 | 491,520 | {'a file' if in_a_file else 'memory'} |" in capsys.readouterr().out


@pytest.mark.parametrize("example", ["widest_layer"], indirect=True)
def test_the_widest_layer_checks_its_output(example, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", "--exponent", "10"])
    monkeypatch.setattr(example, "one_output", lambda *_: 1e6)
    with pytest.raises(SystemExit, match="should be 1000000"):
        example.main()


def run(example, monkeypatch, capsys, *arguments):
    """The lines that a script prints."""
    monkeypatch.setattr(sys, "argv", ["", *map(str, arguments)])
    example.main()
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("example", ["pipeline_grid_search"], indirect=True)
def test_the_grid_search_prints_a_line_for_every_network(example, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # in the processes of the search, which do not inherit the filters
    head, *lines = run(example, monkeypatch, capsys, "--epochs", 5)
    assert head.split() == ["widths", "learning", "rate", "accuracy,", "3", "folds", "s", "/", "fit"]
    accuracies = [float(line.split("±")[0].split()[-1]) for line in lines[:6]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.9
    assert "450 test images" in lines[7]


@pytest.mark.parametrize("example", ["kernels_from_numpy"], indirect=True)
def test_a_butterfly_learns_the_hadamard_transform(example, monkeypatch, capsys, tmp_path):
    picture = tmp_path / "picture.png"
    lines = run(example, monkeypatch, capsys, "--width", 16, "--steps", 300, "--output", picture)
    assert lines[0] == "160 parameters for a matrix of 256"
    first, last = (float(line.split()[-1]) for line in (lines[1], lines[-2]))
    assert first > 1
    assert last < 1e-5
    assert matplotlib.image.imread(picture).shape[2] == 4


@pytest.mark.parametrize("example", ["exact_transforms"], indirect=True)
def test_what_is_exact_and_what_is_not(example, monkeypatch, capsys):
    head, _, _, *lines = run(example, monkeypatch, capsys, "--width", 16, "--steps", 200, "--restarts", 1)
    assert head == "N = 16: 144 weights and scales a butterfly, 256 entries a matrix"
    errors = {line[:50].strip(): line[50:].split() for line in lines}
    exact = ["Walsh-Hadamard", "shift by 5", "Haar, inputs and outputs in bit-reversed order"]
    for name in exact:
        at_least, built = map(float, errors.pop(name)[:2])
        assert max(at_least, built) < 1e-12
    assert float(errors.pop("Fourier, complex, outputs in bit-reversed order")[0]) < 1e-12
    assert errors.pop("Fourier, complex")[1:] == ["wants", "complex", "weights"]
    for at_least, *found in errors.values():
        assert 0.05 < float(at_least) <= min(map(float, found[:2]))


@pytest.mark.parametrize("example", ["exact_transforms"], indirect=True)
@pytest.mark.parametrize("width", [2, 8, 64])
def test_a_butterfly_is_built_from_its_matrix(example, width):
    weights, scale, _ = example.kernels.ldl_init(width, gain=2.0, random_state=0, dtype=np.float64)
    matrix = example.kernels.ldl_dense(weights, scale).T
    assert example.bound(matrix) < 1e-12
    assert example.error([example.built(matrix)], matrix) < 1e-12


@pytest.mark.parametrize("example", ["long_signals"], indirect=True)
def test_long_signals_in_tables_and_a_picture(example, monkeypatch, capsys, tmp_path):
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(example, "TREES_UP_TO", 64)
    small = ["--samples", 256, "--signals", 2000, "--epochs", 6, "--networks", "LDL", "dense 64"]
    small += ["--kinds", "tones", "bursts"]
    lines = run(example, monkeypatch, capsys, *small, "--output", picture)
    rows = [line for line in lines if line[36:38] == "  "]
    accuracies = {}
    for line in rows:
        accuracies.setdefault(line[:36].strip(), []).append(line[36:].split()[2])
    assert set(accuracies) == {
        "", "LDL, Hadamard", "LDL, orthogonal", "dense 64, 64", "logistic regression, samples",
        "logistic regression, log spectrum",
    }  # fmt: skip
    assert all(len(values) == 2 for values in accuracies.values())
    hadamard, orthogonal, linear, expert = (
        float(accuracies[name][0])
        for name in ("LDL, Hadamard", "LDL, orthogonal", "logistic regression, samples",
                     "logistic regression, log spectrum")
    )  # fmt: skip
    assert expert > 0.9
    assert hadamard > orthogonal + 0.1 > 0.2
    assert linear < 0.3
    assert sum("boosted trees are left out" in line for line in lines) == 2
    assert matplotlib.image.imread(picture).shape[2] == 4


@pytest.mark.parametrize("example", ["drawings"], indirect=True)
def test_the_drawings_of_the_readme(example, monkeypatch, capsys, tmp_path):
    run(example, monkeypatch, capsys, "--output", tmp_path)
    for name in ("butterfly.png", "permuted_column.png"):
        again = matplotlib.image.imread(tmp_path / name)
        shown = matplotlib.image.imread(EXAMPLES.parent / "docs" / name)
        assert again.shape == shown.shape
        # but for the edges of letters, which depend on Matplotlib's version
        assert np.mean(abs(again - shown)) < 0.01


@pytest.mark.parametrize("example", ["stream"], indirect=True)
def test_a_stream_is_learned_as_it_comes(example, monkeypatch, capsys, tmp_path):
    picture = tmp_path / "picture.png"
    lines = run(example, monkeypatch, capsys, "--chunks", 60, "--output", picture)
    learned, linear, left_alone = (float(line.split()[-1]) for line in lines[1:4])
    assert learned > 0.7
    assert max(linear, left_alone) < 0.6
    assert matplotlib.image.imread(picture).shape[2] == 4


@pytest.mark.parametrize("example", ["mixed_networks"], indirect=True)
@pytest.mark.parametrize("from_a_file", [False, True])
def test_mixed_networks_are_compared_in_a_table(example, from_a_file, digits, monkeypatch, capsys, tmp_path):
    images, labels = digits
    np.savez(tmp_path / "small.npz", x_train=images[:600], y_train=labels[:600])
    data = ["--data", tmp_path / "small.npz"] if from_a_file else []
    lines = run(example, monkeypatch, capsys, "--epochs", 3, *data)
    assert lines[0].startswith("small: 497 training" if from_a_file else "digits: 1347 training")
    assert [line[:18].strip() for line in lines[3:]] == list(example.NETWORKS)
    assert lines[4].split()[2:4] == ["88,778", "132,810"]
    assert all(float(line.split()[-2]) > 0.2 for line in lines[3:])


def rows(lines):
    """Cells of the rows of Markdown tables among some lines, heads left out."""
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [cells for i, cells in enumerate(tables) if "---" not in tables[min(i + 1, len(tables) - 1)] + cells]


many_features = pytest.mark.parametrize("example", ["many_features"], indirect=True)


@many_features
def test_hashed_paragraphs_are_classified(example, monkeypatch, capsys):
    monkeypatch.setattr(example, "PACKAGES", ("sklearn",))
    monkeypatch.setattr(example, "FEWEST", 400)
    monkeypatch.setattr(
        example, "HistGradientBoostingClassifier", partial(example.HistGradientBoostingClassifier, max_iter=5)
    )
    lines = run(example, monkeypatch, capsys, "--columns", 1024, "--epochs", 30, "--paragraphs", 300)
    assert lines[0].startswith("300 training and 300 test paragraphs from ")
    results = {name: cells for name, *cells in rows(lines)}
    assert list(results) == [*example.networks(1024, 1), *example.others()]
    assert min(float(accuracy) for accuracy, *_ in results.values()) > 0.25
    assert float(results["linear SVC"][0]) > 0.4
    assert results["dense (64,)"][1] == results["MLPClassifier (64,)"][1]
    assert float(results["dense (64,)"][3]) > 0


@many_features
def test_paragraphs_repeat_neither_each_other_nor_the_names_of_their_subpackages(example, monkeypatch):
    monkeypatch.setattr(example, "PACKAGES", ("sklearn",))
    texts, labels, sources = example.paragraphs()
    assert len(set(texts)) == len(texts)
    assert {"sklearn.linear_model", "sklearn.cluster"} < set(labels)
    words = set(" ".join(texts).split())
    assert not words & {"sklearn", "linear", "model", "cluster"}
    assert any(source.endswith("_logistic.py:LogisticRegression") for source in sources)


@pytest.mark.parametrize("example", ["rpp_memory"], indirect=True)
def test_accuracy_against_parameters_stored(example, digits, monkeypatch, capsys, tmp_path):
    images, labels = digits
    np.savez(tmp_path / "small.npz", x_train=images, y_train=labels)
    arguments = ["--data", tmp_path / "small.npz", "--width", 50, "--permutations", 1, 10, 50]
    picture = tmp_path / "picture.png"
    lines = run(example, monkeypatch, capsys, *arguments, "--epochs", 15, "--seeds", 2, "--output", picture)
    results = {(series, name): cells for series, name, *cells in rows(lines)}
    assert [results["RPP", f"k = {k}"][0] for k in (1, 10, 50)] == ["6,310", "1,180", "724"]
    assert results["dense", "width 50"][0] == "6,310"
    assert all(float(accuracy.split()[0]) > 0.5 for _, _, accuracy, _ in results.values())
    assert matplotlib.image.imread(picture).shape[2] == 4


tables = pytest.mark.parametrize("example", ["tables"], indirect=True)


@tables
def test_tables_are_cross_validated_with_both_encodings(example, monkeypatch, capsys):
    small = {"wine": example.TABLES["wine"], "mixed": lambda: example.mixed_columns(classes=False, n_samples=150)}
    monkeypatch.setattr(example, "TABLES", small)
    for trees in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        monkeypatch.setattr(example, trees, partial(getattr(example, trees), max_iter=5))
    lines = run(example, monkeypatch, capsys, "--folds", 2, "--repeats", 1)
    assert "mixed: 150 rows, 7 columns, 2 of them categories" in lines
    results = rows(lines)
    names = [name for name, *_ in results]
    assert names == 2 * list(example.models(regression=True, n_rows=300))
    scores = {name: float(score.split()[0]) for name, score, *_ in results[: len(names) // 2]}
    assert min(scores.values()) > 0.8
    for name, _, _, effect in results[: len(scores)]:
        if name.endswith("splines"):
            difference = scores[name] - scores[name.split(",")[0]]
            assert float(effect.split()[0]) == pytest.approx(difference, abs=0.0011)


@tables
def test_columns_become_splines_and_levels(example):
    X, y = example.mixed_columns(classes=True, n_samples=300)
    encoded = example.splines(n_knots=6).fit_transform(X)
    assert encoded.shape == (300, 5 * (1 + 6) + X["region"].nunique() + X["shop"].nunique())
    np.testing.assert_allclose(encoded[:, 5:].sum(axis=1), X.shape[1])
    assert set(y) == {"above", "below"}


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda script: script.stem)
def test_benchmarks_find_what_they_measure(script, monkeypatch):
    # they run for minutes, but their imports do not
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    runpy.run_path(str(script), run_name="imported")


@pytest.mark.parametrize("from_a_file", [False, True])
@pytest.mark.parametrize("example", ["ldl_regression"], indirect=True)
def test_the_original_regression_is_drawn(example, from_a_file, monkeypatch, capsys, tmp_path):
    picture, name = tmp_path / "picture.png", "diabetes"
    if from_a_file:
        name = tmp_path / "table.csv"
        table = np.random.default_rng(0).normal(size=(60, 5))
        np.savetxt(name, np.hstack([table, table[:, :1] ** 2]), delimiter=",", header="a,b,c,d,e,target")
    arguments = ["", "--data", str(name), "--seeds", "2", "--epochs", "3", "--output", str(picture)]
    monkeypatch.setattr(sys, "argv", arguments)
    example.main()
    assert matplotlib.image.imread(picture).shape[2] == 4
    printed = capsys.readouterr().out
    assert f"{name}: {'60 rows, 5' if from_a_file else '442 rows, 10'} inputs, 2 seeds, 3 epochs" in printed
    for network, size in (("LDL, as first written", "6,273"), ("LDL, the defaults", "6,273"), ("dense", "49,665")):
        line = next(line for line in printed.splitlines() if line.startswith(f"{network} "))
        assert line[24:].split()[0] == size
        *_, last, _, best, _ = [float(number) for number in line[24:].replace(",", "").replace("±", " ").split()]
        assert 0 < best <= last


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_prototypes_of_benchmarks_train(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    variants = runpy.run_path(str(BENCHMARKS / "experiments.py"), run_name="imported")["EXPERIMENTS"]
    X, y = load_digits(return_X_y=True)
    tried = {name: next(reversed(variants[name].values())) for name in ("rates", "stacks", "order", "signs", "members")}
    tried |= {"turns": variants["turns"]["4 members that take turns"], "eight": variants["members"]["8 members"]}
    for name, make in tried.items():
        model = make(False, 1, 0)
        assert 0 <= model.fit(X[:60].astype(np.float32), y[:60]).score(X[:60], y[:60]) <= 1, name


@pytest.mark.parametrize("example", ["dask_cluster"], indirect=True)
def test_a_cluster_that_loses_a_worker_learns_the_same(example, monkeypatch, capsys):
    lines = run(example, monkeypatch, capsys, "--rows", 60_000, "--chunk", 5_000, "--epochs", 2)
    assert lines[0].startswith("55,000 rows of 100: 20.98 MiB")
    undisturbed, killed = (line.split()[-2:] for line in lines[2:4])
    assert undisturbed == killed
    assert float(killed[1]) > 0.3
    assert lines[4] == "The same model, bit for bit: yes"
    assert lines[5].startswith("LDLClassifier, without Dask: [")
