#!/usr/bin/env bash
# optuna 5.0.0, Python 3.11
#
# A grid search that goes on repeats a setting that is done, and leaves out the one that failed.
# Behaviour: a setting whose trial failed (out of memory, say) counts as visited for GridSampler and
# BruteForceSampler. Who resumes the study to fill the gap, gets one trial: a setting drawn at random from all
# of them; then the search stops. That the failed one is drawn is chance. A warning says that the
# grid is exhausted, is_exhausted() is True, and the documentation of neither sampler speaks of failed trials;
# BruteForceSampler warns of nothing.
# Seen: four settings, the third one fails once. Resumed with 20 seeds, with n_trials=10 each: one trial
# each time, of a setting that was done in 18 of them (BruteForceSampler: 14).
# Expected: one trial, of the setting without a value.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet optuna==5.0.0
venv/bin/python -W ignore - <<'PYTHON'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
SETTINGS, FAILS = [1, 2, 3, 4], 3
makers = {
    "GridSampler": lambda seed: optuna.samplers.GridSampler({"setting": SETTINGS}, seed=seed),
    "BruteForceSampler": lambda seed: optuna.samplers.BruteForceSampler(seed=seed),
}


def search(name, sampler, memory, **options):
    """Run the study, new or resumed, and return the settings that were tried in this run."""
    tried = []

    def train(trial):
        tried.append(trial.suggest_categorical("setting", SETTINGS))
        if tried[-1] == FAILS and not memory:
            raise MemoryError("out of memory")
        return float(tried[-1])

    study = optuna.create_study(study_name=name, storage="sqlite:///s.db", sampler=sampler, load_if_exists=True)
    study.optimize(train, catch=MemoryError, **options)
    return tried


for kind, make in makers.items():
    resumed = []
    for seed in range(20):
        name = f"{kind} {seed}"
        assert sorted(search(name, make(seed), memory=False)) == SETTINGS
        if kind == "GridSampler":
            assert make(seed).is_exhausted(optuna.load_study(study_name=name, storage="sqlite:///s.db"))
        resumed.append(search(name, make(seed), memory=True, n_trials=10))
    print(kind, "resumed:", *resumed)
    assert all(len(tried) == 1 for tried in resumed)
    others = sum(tried != [FAILS] for tried in resumed)
    print(f"   {others} of 20 resumed searches tried a setting that was done")
    assert others > 10
print("as described")
PYTHON
