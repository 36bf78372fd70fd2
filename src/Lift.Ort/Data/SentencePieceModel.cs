using Google.Protobuf;

namespace Lift.Ort.Data;

/// <summary>The kinds of SentencePiece pieces; the numbers are those of its ModelProto.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>One entry of the vocabulary; its id is its place in the list.</summary>
internal readonly record struct Piece(string Text, float Score, PieceKind Kind);

/// <summary>What a SentencePiece <c>.model</c> file says (sentencepiece_model.proto, the fields that encoding and decoding read).</summary>
internal sealed class SentencePieceModel
{
    public List<Piece> Pieces { get; } = [];

    /// <summary>1 unigram, 2 BPE, 3 word, 4 character.</summary>
    public int ModelType { get; private set; } = 1;

    public bool ByteFallback { get; private set; }

    public bool WhitespaceAsSuffix { get; private set; }

    public string UnknownSurface { get; private set; } = " \u2047 ";

    public string BeginPiece { get; private set; } = "<s>";

    public string EndPiece { get; private set; } = "</s>";

    public string PadPiece { get; private set; } = "<pad>";

    public byte[] CharsMap { get; private set; } = [];

    public bool AddDummyPrefix { get; private set; } = true;

    public bool RemoveExtraWhitespaces { get; private set; } = true;

    public bool EscapeWhitespaces { get; private set; } = true;

    /// <exception cref="LiftException">The file is no SentencePiece model.</exception>
    public static SentencePieceModel Read(string path)
    {
        var model = new SentencePieceModel();
        try
        {
            var input = new CodedInputStream(File.ReadAllBytes(path));
            Fields(input, field =>
            {
                if (field == 1) model.Pieces.Add(ReadPiece(input));
                else if (field == 2) Message(input, model.ReadTrainer);
                else if (field == 3) Message(input, model.ReadNormalizer);
                else return false;
                return true;
            });
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new LiftException($"{path} is no SentencePiece model ({e.Message.TrimEnd('.')}); give the .model file that spm_train wrote.", e);
        }
        if (!model.Pieces.Exists(p => p.Kind == PieceKind.Unknown)) throw new LiftException($"{path} is no SentencePiece model: {model.Pieces.Count} pieces were found and none stands for unknown text; give the .model file that spm_train wrote.");
        return model.ModelType is 1 or 2 ? model
            : throw new LiftException($"{path} is a SentencePiece model of type {model.ModelType}; unigram (1) and BPE (2) are understood.");
    }

    private static Piece ReadPiece(CodedInputStream input)
    {
        string text = "";
        float score = 0;
        int kind = 1;
        Message(input, (inner, field) =>
        {
            if (field == 1) text = inner.ReadString();
            else if (field == 2) score = inner.ReadFloat();
            else if (field == 3) kind = inner.ReadEnum();
            else return false;
            return true;
        });
        return new Piece(text, score, (PieceKind)kind);
    }

    private bool ReadTrainer(CodedInputStream input, int field)
    {
        switch (field)
        {
            case 3: ModelType = input.ReadEnum(); return true;
            case 24: WhitespaceAsSuffix = input.ReadBool(); return true;
            case 35: ByteFallback = input.ReadBool(); return true;
            case 44: UnknownSurface = input.ReadString(); return true;
            case 46: BeginPiece = input.ReadString(); return true;
            case 47: EndPiece = input.ReadString(); return true;
            case 48: PadPiece = input.ReadString(); return true;
            default: return false;
        }
    }

    private bool ReadNormalizer(CodedInputStream input, int field)
    {
        switch (field)
        {
            case 2: CharsMap = input.ReadBytes().ToByteArray(); return true;
            case 3: AddDummyPrefix = input.ReadBool(); return true;
            case 4: RemoveExtraWhitespaces = input.ReadBool(); return true;
            case 5: EscapeWhitespaces = input.ReadBool(); return true;
            default: return false;
        }
    }

    private static void Message(CodedInputStream input, Func<CodedInputStream, int, bool> read)
    {
        var inner = new CodedInputStream(input.ReadBytes().ToByteArray());
        Fields(inner, field => read(inner, field));
    }

    private static void Fields(CodedInputStream input, Func<int, bool> read)
    {
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            if (!read(WireFormat.GetTagFieldNumber(tag))) input.SkipLastField();
        }
    }
}
