"""Stand-ins for what a language model would say, from the data and a base model alone.

They show what the form of LLMRec's data gives without the knowledge in them, and are called
stand-ins wherever they appear.
"""

from collections import Counter

import numpy as np

from mmssl_jax.augmentation import folder as folders
from mmssl_jax.augmentation import outputs, subjects
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.folder import Part
from mmssl_jax.augmentation.options import PAIRS, PROFILES, AugmentOptions
from mmssl_jax.data import Dataset, loading
from mmssl_jax.data.features import side
from mmssl_jax.errors import InputError
from mmssl_jax.training.session import Trained


def write(trained: Trained, options: AugmentOptions) -> list[Part]:
    """Writes the stand-ins into the data folder of a base run.

    Raises:
      InputError: the data lacks what they are made of, or the folder cannot be written.
    """
    folder, dataset = folders.of_run(trained), trained.dataset
    folders.check_free(folder, options)
    users, found = subjects.users_of(dataset), []
    with AnswerFile.open(folder / folders.OWN) as answers:  # nobody else writes there
        if PROFILES in options.parts:
            vectors = profiles(_with(options.profile_modality, dataset), options.profile_modality)
            folders.claim(folder, PROFILES, options)
            written = (outputs.write_vectors(folder, f"{side.USER}{side.PROFILE}", vectors),)
            answered = int(vectors.any(axis=1).sum())
            found.append(Part(PROFILES, len(users), answered, Counter(), written))
        if PAIRS in options.parts:
            pairs = pairs_of(users, subjects.candidates(trained, users, options.candidates))
            folders.claim(folder, PAIRS, options)
            written = (outputs.write_pairs(folder, pairs),)
            found.append(Part(PAIRS, len(users), len(pairs), Counter(), written))
        folders.note(folder, options, found, (answers.tokens[0], answers.tokens[1]))
    return found


def pairs_of(users: np.ndarray, candidates: np.ndarray) -> dict[int, tuple[int, int]]:
    """User -> the first and the last of the user's candidates [users, count]."""
    count = (candidates >= 0).sum(axis=1)
    chosen = np.flatnonzero(count >= subjects.FEWEST)
    users, disliked = users[chosen], candidates[chosen, count[chosen] - 1]
    candidates = candidates[chosen]
    rows = zip(users.tolist(), candidates[:, 0].tolist(), disliked.tolist(), strict=True)
    return {user: (liked, other) for user, liked, other in rows}


def profiles(dataset: Dataset, modality: str) -> np.ndarray:
    """The mean of the vectors of each user's training items, float32 [users, width].

    Items that lack the modality have no part; a user without any other has zeros.
    """
    present = dataset.present.get(modality, np.ones(dataset.num_items, bool))
    total = dataset.train @ np.where(present[:, None], dataset.features[modality], 0)
    count = dataset.train @ present.astype(np.float32)
    return np.asarray(total / np.maximum(count, 1)[:, None], np.float32)


def _with(modality: str, dataset: Dataset) -> Dataset:
    """The data set with a modality that the base run may not have read."""
    try:
        return loading.load(**dict(dataset.source) | {"modalities": modality})
    except InputError as error:
        raise InputError(
            f"stand-in profiles are means of a modality, by default of text ({error}); name one "
            "with --profile-modality, or give --parts pairs"
        ) from error
