"""Several attempts at each task, and a verifier that chooses among them.

The verifier starts from the model's own weights, and learns from what became of its episodes on
practised tasks, and of those in its RL: other tasks than those that it is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchside.curves import EvaluationRow
from benchside.runs import load_run
from benchside.statistics.scores import votes
from benchside_training import examples, verifier, verifier_scores
from benchside_training.accelerator import free_memory
from benchside_training.evaluation_rows import evaluation_rows
from benchside_training.nano.curriculum import AskedTask
from benchside_training.nano.episodes import Playing, Run, play_model
from benchside_training.nano.recovery import Recovery, recovery

BEST_OF = 8
HELD_OUT = 0.1  # of the families, for the verifier's temperature and calibration
SPLIT = "held-out, sampled"  # of the rows: fewer tasks than are measured with one attempt


@dataclass(frozen=True, slots=True)
class Attempts:
    """A model's attempts, and where all that concerns them lies.

    Args:
        out: folder of the pipeline.
        home: where its suites are prepared.
        model: whose attempts are looked at.
        graded: run folders, or patterns of them, of successes and failures on other tasks.
        how: its episodes are played.
        verifying: what the verifier's recipe is told beside its data.
    """

    out: Path
    home: Path
    model: Path
    graded: tuple[str, ...]
    seed: int
    how: Playing
    verifying: dict[str, Any]

    def trained_verifier(self) -> Path:
        """Return the folder of the verifier, trained if it is not there yet."""
        folder, data = self.out / "verifier", self.out / "examples" / "outcomes"
        if (folder / "model").exists():
            return folder / "model"
        if not (data / examples.FILE).exists():
            examples.main(
                examples.ExamplesConfig(runs=self.graded, out=data, outcomes=("solved", "wrong")),
                self.home,
            )
        made = verifier.main(
            verifier.VerifierConfig(
                model=str(self.model), data=data / examples.FILE, out=folder,
                resume=(folder / "training.json").exists(), seed=self.seed, warmup_steps=10,
                weight_decay=0.01, held_out=HELD_OUT, **self.verifying,
            )
        )  # fmt: skip
        free_memory()
        return made

    def played(
        self, tasks: list[AskedTask], samples: int, chooser: Path
    ) -> tuple[list[EvaluationRow], Recovery]:
        """Play the tasks and let the verifier score what came of it.

        Args:
            samples: attempts at each task.
            chooser: folder of the verifier.

        Returns:
            pass@k and best@k by suite, and how much of the difference choosing recovers.
        """
        run = self.out / "played" / f"sft-{self.seed}-attempts"
        play_model(self.model, self.seed, self.how, Run(run, tasks, samples))
        verifier_scores.main(
            verifier_scores.VerifierScoresConfig(
                verifier=chooser,
                runs=(str(run),),
                batch=self.verifying["batch"],
                device=self.how.device,
            )
        )
        rows = [
            row.model_copy(update={"split": SPLIT})
            for row in evaluation_rows(run, "sft", self.seed)
        ]
        played = load_run(run)
        return rows, recovery(played.episodes.assign(vote=votes(played)), min(BEST_OF, samples))
