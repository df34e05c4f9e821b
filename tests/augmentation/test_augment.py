"""`mmssl augment`: what is asked, what may be answered, and what becomes of it."""

import dataclasses
import json
import pickle
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from chat_server import Server, slow, well
from stand_in_encoder import Fake
from worlds import ITEMS, ROOT, USERS, Place, code_of, mmssl, refused, world

from mmssl_jax import data
from mmssl_jax.augmentation import prompts
from mmssl_jax.data.encoding import encoders
from mmssl_jax.errors import InputError

_IDS = tuple(map(str, range(ITEMS)))
_TITLES = tuple(f"Title {item}" for item in range(ITEMS))


@pytest.fixture(scope="module", name="trained")
def _trained(tmp_path_factory):
    titled = dataclasses.replace(world(), item_ids=_IDS, item_titles=_TITLES)
    place = Place(tmp_path_factory.mktemp("base"), titled)
    place.train("--config.model.name=lightgcn")
    return place


@pytest.fixture(name="place")
def _place(trained):
    """A base run, without what an earlier test has added to its data."""
    for path in [*trained.data.glob("*_feat.npy"), trained.data / "augmented_edges.npy"]:
        if path.name.startswith(("user_", "attribute_", "augmented_")):
            path.unlink(missing_ok=True)
    for path in (trained.data / "augmentation").glob("*"):
        path.unlink()
    return trained


@pytest.fixture(autouse=True)
def _fake_encoder(monkeypatch):
    monkeypatch.setattr(encoders, "load", Fake().load)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture(name="server")
def _server(monkeypatch):
    with Server(well).running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def augment(place, *flags):
    mmssl("augment", *place.argv(*flags))


def ask(place, *flags):
    augment(place, "--provider", "endpoint", "--model", "m", *flags)


def prompts_of(place):
    lines = (place.data / "augmentation/prompts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def answer(place, answers: dict[str, str], name="answers.jsonl"):
    lines = [json.dumps({"custom_id": key, "answer": text}) for key, text in answers.items()]
    (place.data / "augmentation" / name).write_text("\n".join(lines))


def about(place):
    return json.loads((place.data / "augmentation/about.json").read_text())


def pairs_of(place):
    return np.load(place.data / "augmented_edges.npy").tolist()


def test_answers_of_an_endpoint_become_what_llmrec_trains_on(place, server, capsys):
    ask(place, "--attributes", "colour")
    printed = capsys.readouterr().out
    assert "pairs" in printed
    dataset = data.load(str(place.data), "none")
    assert len(dataset.augmented) == USERS
    assert dataset.user_features["profile"].shape == (USERS, 3)
    assert set(dataset.attributes) == {"title", "colour"}
    assert about(place)["tokens"] == [15 * len(server.requests), 10 * len(server.requests)]
    sent = len(server.requests)
    assert sent == len({json.dumps(each) for each in server.requests})
    before = {path: path.read_bytes() for path in place.data.glob("*.npy")}
    ask(place, "--attributes", "colour")
    assert len(server.requests) == sent  # nothing is asked twice
    assert before == {path: path.read_bytes() for path in place.data.glob("*.npy")}
    mmssl(
        "train",
        *("--config=llmrec", f"--config.data.path={place.data}", "--config.data.modalities=none"),
        *(f"--workdir={place.run}-llmrec", "--config.train.epochs=1"),
        *("--config.evaluation.cutoffs=5,20", "--config.train.batch_size=16"),
    )
    place.evaluate()  # the base run is still a run of this data


def test_candidates_are_the_best_items_outside_of_training(place, server):
    ask(place, "--parts", "pairs", "--candidates", "5")
    train = data.load(str(place.data), "none").train.toarray() > 0
    flags = ("--users", "0", "--exclude-known", "train", "--top", "5")
    mmssl("recommend", *place.argv(*flags), "--json", place.run / "lists.json")
    (listed,) = json.loads((place.run / "lists.json").read_text())
    pairs = {user: rest for user, *rest in np.load(place.data / "augmented_edges.npy").tolist()}
    assert pairs[0] == [listed["items"][0]["item"], listed["items"][4]["item"]]
    assert not any(train[user, item] for user, items in pairs.items() for item in items)


def test_prompts_say_what_is_known_and_nothing_else(place, capsys):
    augment(place, "--dry-run", "--prices", "1,2")
    printed = capsys.readouterr().out
    assert "- Title" in printed
    assert "Candidates:\n[1] Title" in printed
    assert "dollars; nothing was sent" in printed
    assert f"one of {USERS} for pairs" in printed


def test_answers_come_from_files(place, capsys):
    augment(place)
    asked = prompts_of(place)
    assert len(asked) == 2 * USERS
    assert {each["url"] for each in asked} == {"/v1/chat/completions"}
    assert not list(place.data.glob("augmented_edges.npy"))
    pairs = [each["custom_id"] for each in asked if each["custom_id"].startswith("pairs")]
    answer(place, dict.fromkeys(pairs[:3], '{"like": 2, "dislike": 1}') | {pairs[3]: "hm"})
    batch = {
        "custom_id": pairs[4],
        "response": {"body": {"choices": [{"message": {"content": '{"like": 1, "dislike": 3}'}}]}},
    }
    more = place.data / "augmentation/answers-batch.jsonl"
    more.write_text(json.dumps(batch) + "\nnonsense\n" + '{"custom_id": 3, "answer": 4}\n')
    augment(place)
    captured = capsys.readouterr()
    assert "2 lines hold no answer, the first is answers-batch.jsonl, line 2" in captured.err
    assert "1 is no JSON object" in captured.out
    assert len(np.load(place.data / "augmented_edges.npy")) == 4
    assert len(prompts_of(place)) == 2 * USERS - 4


def test_an_answer_is_of_its_content(place):
    augment(place, "--parts", "pairs")
    keys = {each["custom_id"] for each in prompts_of(place)}
    augment(place, "--parts", "pairs", "--history", "2")
    assert not keys & {each["custom_id"] for each in prompts_of(place)}
    keys = {prompts.question("pairs", user, {"messages": []}, str).key for user in (0, 1)}
    assert len(keys) == 1


def test_a_table_describes_the_items(place, tmp_path, capsys):
    ids = [str(item) for item in range(ITEMS - 1)]
    names = [f"Name {item}\n\x1b[2J[1] other" for item in range(ITEMS - 1)]
    table = pl.DataFrame({"id": ids, "name": names, "made by": ["Us"] * (ITEMS - 1)})
    table.write_csv(tmp_path / "items.csv")
    flags = ("--items", tmp_path / "items.csv", "--fields", "name,made by")
    augment(place, *flags, "--attributes", "colour")
    asked = [each["body"]["messages"][1]["content"] for each in prompts_of(place)]
    assert "Item: Name 3 [2J[1] other; made by: Us" in "\n".join(asked)
    assert all("\x1b" not in text for text in asked)
    of_items = [each for each in prompts_of(place) if each["custom_id"].startswith("attributes")]
    assert len(of_items) == ITEMS - 1  # nothing is known of the last
    answer(place, {of_items[0]["custom_id"]: '{"colour": "blue"}'})
    augment(place, *flags, "--attributes", "colour")
    colour = np.load(place.data / "attribute_colour_feat.npy")
    assert colour[0].any()
    assert not colour[1:].any()
    assert np.load(place.data / "attribute_made_by_feat.npy")[: ITEMS - 1].any(axis=1).all()


def test_stand_ins_need_no_language_model(place, capsys):
    augment(place, "--provider", "stand-in")
    dataset = data.load(str(place.data), "text")
    assert len(dataset.augmented) == USERS
    owned = np.flatnonzero(dataset.train.toarray()[7])
    mean = dataset.features["text"][owned].mean(axis=0)
    np.testing.assert_allclose(dataset.user_features["profile"][7], mean, rtol=1e-6)
    assert about(place)["parts"]["profiles"]["provider"] == "stand-in"
    assert "of no language model" in capsys.readouterr().out
    line = refused(
        "augment", place.argv("--provider", "stand-in", "--profile-modality", "smell"), capsys
    )
    assert "asks for 'smell', found: image, text); name one with --profile-modality" in line


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--provider", "endpoint"], "needs --model NAME"),
        (["--provider", "endpoint", "--model", "m"], "needs the environment variable OPENAI_BASE"),
        (["--provider", "stand-in", "--attributes", "a"], "has nothing for --attributes"),
        (["--provider", "oracle"], "must be one of endpoint, none, stand-in"),
        (["--provider", "stand-in", "--dry-run"], "has nothing for --dry-run"),
        (["--parts", "pears"], "--parts has 'pears'"),
        (["--parts", "attributes"], "name them with --attributes"),
        (["--attributes", "colour,Colour"], "is there already|make one file"),
        (["--body", '{"n": 5}'], "without messages, model, stream and n"),
        (["--body", '{"max_tokens": -5}'], "give a number above 0"),
        (["--body", '{"temperature": NaN}'], "what no JSON can hold"),
        (["--body", '{"user": "\\ud800"}'], "what no JSON can hold"),
        (["--attributes", "../x"], "--attributes has '../x'"),
        (["--fields", "name"], "are of --items FILE"),
        (["--items", "nowhere.csv"], "--items needs --fields"),
        (["--items", "nowhere.csv", "--fields", "a"], "nowhere.csv: cannot be read"),
        (["--body", "{"], "--body is no JSON"),
        (["--body", '{"messages": 1}'], "must be a JSON object without messages"),
        (["--prices", "cheap"], "give two numbers"),
        (["--candidates", "99"], "--candidates is 99; there are"),
        (["--candidates", "1"], "must be a number from 2 to 100"),
        (["--config.train.epochs=2"], "cannot be given to augment"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line(place, flags, said, capsys):
    assert re.search(said, refused("augment", place.argv(*flags), capsys))
    assert not (place.data / "augmented_edges.npy").exists()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OPENAI_BASE_URL", "ftp://host/v1", "is no URL of http or https"),
        ("OPENAI_BASE_URL", "http://[half", "is no URL of http or https"),
        ("OPENAI_BASE_URL", "http://me:secret@host/v1", "has a name, password or query in it"),
        ("OPENAI_BASE_URL", "http://host/v1?key=secret", "has a name, password or query in it"),
        ("OPENAI_API_KEY", "ключ", "has characters that cannot be sent"),
    ],
)
def test_no_endpoint(place, server, monkeypatch, capsys, variable, value, said):
    monkeypatch.setenv(variable, value)
    line = refused("augment", place.argv("--provider", "endpoint", "--model", "m"), capsys)
    assert said in line
    assert value not in line
    assert not server.requests


def test_items_without_words_are_refused(tmp_path, capsys):
    bare = Place(tmp_path)
    bare.train("--config.model.name=popularity")
    assert "in words, which a language model needs" in refused("augment", bare.argv(), capsys)


def test_data_in_no_folder_are_refused(tmp_path, capsys):
    run = tmp_path / "run"
    mmssl("train", "--config=demo", "--config.model.name=popularity", f"--workdir={run}")
    assert code_of(["augment", "--config=demo", f"--workdir={run}"]) == 2
    assert "in no folder" in capsys.readouterr().err


_PATHS = [str(ROOT / "tests"), str(ROOT)]
_DRIVER = f"""
import sys
sys.path[:0] = {_PATHS!r}
from stand_in_encoder import Fake
from mmssl_jax.data.encoding import encoders
from mmssl_jax.errors import InputError
from mmssl_jax.commands import main
encoders.load = Fake().load
main(["augment", *sys.argv[1:]])
"""


def test_a_killed_command_goes_on_and_ends_with_the_same_files(place, monkeypatch, tmp_path):
    argv = [*place.argv("--provider", "endpoint", "--model", "m"), "--attributes", "colour"]
    kept = place.data / "augmentation/answers.jsonl"
    with Server(slow).running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        process = subprocess.Popen([sys.executable, "-c", _DRIVER, *map(str, argv)])
        deadline = time.monotonic() + 120
        while not kept.exists() or kept.read_bytes().count(b"\n") < 20:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.wait()
        before = kept.read_bytes().count(b"\n")
        asked = len(server.requests)
        mmssl("augment", *argv)
        # What was under way when the process died is asked again, and nothing else.
        assert len(server.requests) - asked == 2 * USERS + ITEMS - before
    ended = {path.name: path.read_bytes() for path in place.data.glob("*.npy")}
    shutil.rmtree(place.data / "augmentation")
    for name in ended:
        if name.startswith(("user_", "attribute_", "augmented_")):
            (place.data / name).unlink()
    with Server(well).running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        mmssl("augment", *argv)
    assert ended == {path.name: path.read_bytes() for path in place.data.glob("*.npy")}


def test_a_run_of_all_pairs_is_refused(place, capsys):
    run = place.run.with_name("final")
    flags = ("--final", "--config.model.name=popularity", "--config.train.epochs=1")
    mmssl("train", f"--config={place.config}", f"--workdir={run}", *flags)
    line = refused("augment", [f"--config={place.config}", f"--workdir={run}"], capsys)
    assert "was trained on all pairs (--final)" in line


def test_a_budget_gives_the_same_however_many_ask_at_once(place, server, capsys):
    ask(place, "--parts", "pairs", "--budget", "1500", "--concurrency", "8")
    assert len(pairs_of(place)) == USERS
    ask(place, "--parts", "profiles", "--budget", "800")
    assert "with a larger one goes on" in capsys.readouterr().err


def test_fewer_answers_do_not_replace_more(place, server, capsys):
    ask(place, "--parts", "pairs")
    whole = pairs_of(place)
    ask(place, "--parts", "pairs", "--history", "3", "--budget", "2000")
    captured = capsys.readouterr()
    assert pairs_of(place) == whole
    assert "augmented_edges.npy: kept from an earlier call" in captured.err
    assert "answered questions are not asked now" in captured.err
    assert about(place)["parts"]["pairs"]["answered"] == USERS


@pytest.mark.parametrize("provider", ["none", "stand-in"])
def test_what_others_made_is_not_replaced(place, provider, capsys):
    np.save(place.data / "augmented_edges.npy", [[0, 1, 2]])
    line = refused("augment", place.argv("--provider", provider), capsys)
    assert "augmented_edges.npy is there already, and mmssl augment did not make it" in line
    (place.data / "augmented_edges.npy").unlink()
    (place.data / "augmented_sample_dict").write_bytes(pickle.dumps({0: {0: 1, 1: 2}}))
    line = refused("augment", place.argv("--provider", provider), capsys)
    (place.data / "augmented_sample_dict").unlink()
    assert "augmented_sample_dict would be hidden by new pairs" in line


def test_an_encoder_that_cannot_be_loaded_costs_nothing(place, server, monkeypatch, capsys):
    def load(*_):
        raise InputError("no encoder")

    monkeypatch.setattr(encoders, "load", load)
    argv = place.argv("--provider", "endpoint", "--model", "m")
    assert "no encoder" in refused("augment", argv, capsys)
    assert not server.requests
    ask(place, "--parts", "pairs")  # needs none


def test_a_dry_run_leaves_no_trace(place):
    shutil.rmtree(place.data / "augmentation")
    augment(place, "--dry-run")
    assert not (place.data / "augmentation").exists()
    augment(place, "--parts", "pairs")


def test_attributes_alone(place, server):
    ask(place, "--parts", "attributes", "--attributes", "colour")
    assert len(server.requests) == ITEMS
    assert not (place.data / "augmented_edges.npy").exists()


def test_pairs_are_asked_only_of_what_is_known(place, tmp_path, capsys):
    (tmp_path / "few.csv").write_text("id,name\n3,Only one\n")
    augment(place, "--items", tmp_path / "few.csv", "--fields", "name", "--parts", "pairs")
    assert f"nothing is known in words of {ITEMS - 1} of {ITEMS} items" in capsys.readouterr().err
    assert not (place.data / "augmentation/prompts.jsonl").exists()


def test_a_later_answer_corrects_an_earlier_one(place):
    augment(place, "--parts", "pairs")
    key = prompts_of(place)[0]["custom_id"]
    answer(place, {key: '{"like": 1, "dislike": 2}'})
    augment(place, "--parts", "pairs")
    ((_, liked, disliked),) = pairs_of(place)
    line = json.dumps({"custom_id": key, "answer": {"like": 2, "dislike": 1}})
    (place.data / "augmentation/answers-2.jsonl").write_text(f"\ufeff{line}\r\n", "utf-8")
    (place.data / "augmentation/answers-folder.jsonl").mkdir()
    augment(place, "--parts", "pairs")
    (place.data / "augmentation/answers-folder.jsonl").rmdir()
    assert pairs_of(place)[0][1:] == [disliked, liked]


def test_other_attributes_are_added_and_their_widths_compared(place, server, monkeypatch, capsys):
    ask(place, "--parts", "attributes", "--attributes", "colour")
    wider = Fake()
    wider.width = 4
    monkeypatch.setattr(wider, "encode", lambda inputs: np.ones((len(inputs), 4)))
    monkeypatch.setattr(encoders, "load", wider.load)
    ask(place, "--parts", "attributes", "--attributes", "size")
    assert "attribute_colour_feat.npy 3" in capsys.readouterr().err
    files = about(place)["parts"]["attributes"]["files"]
    assert [name.split("_")[1] for name in files] == ["colour", "size", "title"]
    ask(place, "--parts", "attributes", "--attributes", "colour")  # it is still known as ours


def test_stand_ins_do_not_replace_what_was_paid_for(place, server, capsys):
    augment(place, "--provider", "stand-in")
    ask(place, "--parts", "pairs", "--budget", "1000")
    pairs = pairs_of(place)
    assert about(place)["parts"]["pairs"]["provider"] == "endpoint"
    argv = place.argv("--provider", "stand-in", "--parts", "pairs")
    assert "is of a language model; remove it" in refused("augment", argv, capsys)
    assert pairs_of(place) == pairs
    (place.data / "augmented_edges.npy").unlink()
    augment(place, "--provider", "stand-in", "--parts", "pairs")
