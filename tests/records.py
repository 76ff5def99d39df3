"""The default game's records as bytes, by the names that tests use."""

from wm_export.schema.records import Records
from wm_train.world.registry import find_game

RECORDS = Records(find_game())
INPUT_BYTES, INPUTS_BYTES = RECORDS.input_size, RECORDS.inputs_size
FRAME_BYTES, RECORD_BYTES, SIZES = RECORDS.frame_size, RECORDS.record_size, RECORDS.sizes
input_bytes, inputs_of, unpack_inputs = RECORDS.input_bytes, RECORDS.inputs_of, RECORDS.unpack_inputs
frame_bytes, frame_of = RECORDS.frame_bytes, RECORDS.frame_of
record_bytes, split_record = RECORDS.record_bytes, RECORDS.split_record
