"""Runs inside the project's own environment: what `mlflow run` does, then says where the models are.

Reads a JSON request from the file named by its first argument and writes the answer to the second.
Works with MLflow 1.30, 2 and 3.
"""

import json
import sys

import mlflow
from mlflow.tracking import MlflowClient


def experiment_id(client, wanted):
    """An id when there is an experiment with it, else the experiment of this name, made when it is missing."""
    if wanted.isdigit():
        try:
            return client.get_experiment(wanted).experiment_id
        except mlflow.exceptions.MlflowException:
            pass
    found = client.get_experiment_by_name(wanted)
    return found.experiment_id if found else client.create_experiment(wanted)


def logged_models(client, run):
    """Models of MLflow 3, which live outside the run's artifact directory. Newest last."""
    outputs = getattr(run, "outputs", None)
    ids = [output.model_id for output in (getattr(outputs, "model_outputs", None) or [])]
    models = [client.get_logged_model(model_id) for model_id in dict.fromkeys(ids)]
    return [{"id": m.model_id, "name": m.name, "location": m.artifact_location} for m in models]


def artifacts(client, run_id):
    return [{"path": item.path, "directory": item.is_dir} for item in client.list_artifacts(run_id)]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    client = MlflowClient()
    submitted = mlflow.projects.run(
        uri=request["directory"],
        entry_point=request["entry_point"],
        parameters=request["parameters"],
        experiment_id=experiment_id(client, request["experiment"]),
        env_manager="local",
        synchronous=True,
    )
    run = client.get_run(submitted.run_id)
    answer = {
        "run_id": submitted.run_id,
        "experiment_id": run.info.experiment_id,
        "artifact_uri": run.info.artifact_uri,
        "metrics": run.data.metrics,
        "models": logged_models(client, run),
        "artifacts": artifacts(client, submitted.run_id),
        "mlflow_version": mlflow.__version__,
    }
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answer, file)


try:
    main()
except mlflow.exceptions.ExecutionException as error:
    # the project's own words are above; a traceback of ours would only hide them
    print(f"ERROR: {error}", flush=True)
    sys.exit(1)
