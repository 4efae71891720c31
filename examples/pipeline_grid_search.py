"""For those who fit estimators: a pipeline, a grid of networks, cross-validation on two processes, a table.

scikit-learn's digits, with as many pixels as a small sensor has. What is searched is what matters most for a network of
less dense layers: its widths and its learning rate.

Usage: python examples/pipeline_grid_search.py [--epochs 40] [--jobs 2]
"""

import argparse
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ldlrpp import LDLClassifier, warmup


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2, help="processes of the search")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # a search may end before all have converged

    warmup("float32")  # so that no fit's time is that of compilation
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X.astype("float32"), y, stratify=y, random_state=0)
    # the processes share the cores: a thread for the kernels of each
    network = LDLClassifier(max_iter=options.epochs, n_jobs=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network)
    grid = {
        "ldlclassifier__hidden_layer_sizes": [(256,), (1024,), (1024, 1024)],
        "ldlclassifier__learning_rate_init": [0.001, 0.004],
    }
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=options.jobs).fit(X_train, y_train)

    results = search.cv_results_
    print(f"{'widths':<16}{'learning rate':>14}{'accuracy, 3 folds':>20}{'s / fit':>10}")
    for i in results["mean_test_score"].argsort()[::-1]:
        widths, rate = (results["params"][i][name] for name in grid)
        mean, spread = results["mean_test_score"][i], results["std_test_score"][i]
        accuracy = f"{mean:.4f} ± {spread:.4f}"
        print(f"{widths!s:<16}{rate:>14}{accuracy:>20}{results['mean_fit_time'][i]:>10.2f}")

    best = search.best_estimator_
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X_train, y_train)
    print(f"\nThe best of them on {len(X_test)} test images: {best.score(X_test, y_test):.4f}", end="")
    print(f" from {best[-1].n_parameters_:,} parameters ({best[-1].n_parameters_dense_:,} if it were dense);")
    print(f"logistic regression: {linear.score(X_test, y_test):.4f}")


if __name__ == "__main__":
    main()
