"""Learns to tell the cultivar of a wine from thirteen measurements; the data set ships with scikit-learn."""

import argparse

import mlflow
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(regularization: float, test_share: float) -> None:
    features, cultivar = load_wine(return_X_y=True, as_frame=True)
    train_x, test_x, train_y, test_y = train_test_split(
        features, cultivar, test_size=test_share, random_state=0, stratify=cultivar
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0 / regularization, max_iter=1000))
    with mlflow.start_run():
        model.fit(train_x, train_y)
        accuracy = accuracy_score(test_y, model.predict(test_x))
        mlflow.log_metric("accuracy", accuracy)
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(train_x, model.predict(train_x)),
            serialization_format="cloudpickle",
        )
        print(f"accuracy {accuracy:.3f} with regularization {regularization}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--regularization", type=float, default=1.0)
    parser.add_argument("--test-share", type=float, default=0.25)
    main(**vars(parser.parse_args()))
