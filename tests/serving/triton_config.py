"""Prints the config.pbtxt files of a Triton model repository as JSON, by Triton's own proto: triton_config.py FOLDER"""

import json
import pathlib
import sys

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2


def main(folder: str) -> None:
    found = {}
    for path in pathlib.Path(folder).glob("*/config.pbtxt"):
        config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        found[path.parent.name] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
