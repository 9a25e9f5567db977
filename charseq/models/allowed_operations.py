"""The operations that an exported model may have, and a transform graph.

They compute: none of them reads or writes a file, opens a connection or runs Python. What the
trainer exports consists of some of them; the others are their neighbours, which another version of
TensorFlow or Keras may export for the same code.
"""

from __future__ import annotations

_CONTROL = """
    Assert Case Const Identity IdentityN If NoOp PartitionedCall Placeholder
    PlaceholderWithDefault StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile
    StopGradient While
"""
_VARIABLES_AND_TABLES = """
    AssignVariableOp DisableCopyOnRead HashTableV2 InitializeTableFromTextFileV2 InitializeTableV2
    LookupTableFindV2 LookupTableImportV2 LookupTableSizeV2 ReadVariableOp ResourceGather
    VarHandleOp VarIsInitializedOp VariableShape
"""
_ARRAYS = """
    BroadcastArgs BroadcastTo Concat ConcatV2 Cumsum EnsureShape ExpandDims Fill GatherNd GatherV2
    InvertPermutation LinSpace MatrixDiagV3 OneHot OnesLike Pack Pad PadV2 RaggedGather RaggedRange
    RaggedTensorFromVariant RaggedTensorToTensor RaggedTensorToVariant Range Rank Reshape ReverseV2
    ScatterNd Select SelectV2 Shape ShapeN Size Slice SparseToDense Split SplitV Squeeze
    StridedSlice TensorScatterUpdate Tile TopKV2 Transpose Unique UniqueV2 UniqueWithCounts Unpack
    UpperBound LowerBound Where ZerosLike
"""
_TENSOR_LISTS = """
    EmptyTensorList TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
    TensorArrayV3 TensorArrayWriteV3 TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
    TensorListPushBack TensorListReserve TensorListResize TensorListScatterV2 TensorListSetItem
    TensorListStack
"""
_MATHEMATICS = """
    Abs Add AddN AddV2 All Any ArgMax ArgMin BatchMatMulV2 BatchMatMulV3 BiasAdd Bincount Bitcast
    BitwiseAnd BitwiseOr BitwiseXor Invert LeftShift RightShift
    Cast Ceil ClipByValue DenseBincount Div DivNoNan Einsum Elu Equal Erf Exp Expm1 Floor FloorDiv
    FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan LeakyRelu Less LessEqual Log Log1p
    LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mul MulNoNan Neg
    NotEqual Pow Prod RealDiv Reciprocal Relu Relu6 Round Rsqrt SegmentSum Selu Sigmoid Sign
    Softmax Softplus Softsign Sqrt Square SquaredDifference Sub Sum Tanh TruncateDiv TruncateMod
    UnsortedSegmentMax UnsortedSegmentSum Xdivy Xlogy
"""
_TEXT = """
    AsString DecodePaddedRaw DecodeRaw ReduceJoin RegexFullMatch RegexReplace StaticRegexFullMatch
    StaticRegexReplace StringJoin StringLength StringLower StringSplitV2 StringStrip
    StringToHashBucketFast StringToNumber StringUpper Substr UnicodeDecode UnicodeDecodeWithOffsets
    UnicodeEncode UnicodeTranscode UnsortedSegmentJoin
"""
_GPU = "CudnnRNNV3"

ALLOWED = frozenset(
    " ".join(
        (_CONTROL, _VARIABLES_AND_TABLES, _ARRAYS, _TENSOR_LISTS, _MATHEMATICS, _TEXT, _GPU)
    ).split()
)
# In the functions of a SavedModel that save and restore its variables, and nowhere else.
SAVE_ONLY = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
RESTORE_ONLY = frozenset({"RestoreV2"})

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Read a file whose name is their input of this number.
TABLE_FROM_FILE = "InitializeTableFromTextFileV2"
FILE_NAME_INPUT = 1
ASSIGN = "AssignVariableOp"
READ_VARIABLE = "ReadVariableOp"
PLACEHOLDER = "Placeholder"
