"""Taggers, pairs and retrieval: late interaction, sparse expansion, packed recurrences, biaffine and conditional-field scores, characters."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens
from decoders import V, D, H
from stranger_encoders import TOK, ffn, fixed


class Splade(nn.Module):
    """log(1 + relu) of vocabulary scores, maximum over tokens, tied matrix."""
    def __init__(self, colbert=False):
        super().__init__()
        self.colbert, self.embed, self.layer = colbert, nn.Embedding(V, D), nn.GRU(D, D // 2, batch_first=True, bidirectional=True)
        self.bias, self.small = nn.Parameter(torch.zeros(V)), nn.Linear(D, 12, bias=False)
    def forward(self, ids, mask):
        x = self.layer(self.embed(ids))[0]
        if self.colbert:
            x = F.normalize(self.small(x), p=2, dim=2) * mask.unsqueeze(2).to(x.dtype)
            scores = torch.einsum("ash,bth->abst", x, x).masked_fill(mask[None, :, None, :] == 0, -9999.0)
            return scores.max(-1).values.sum(-1) * 4.0
        logits = x @ self.embed.weight.transpose(-2, -1) + self.bias
        return torch.max(torch.log1p(torch.relu(logits)) * mask.unsqueeze(-1), dim=1)[0]


model("n-splade", "mse", opset=17, inputs=tokens(mask=True), outputs=["sparse"])(Splade)
model("n-colbert", "classification", opset=16, inputs=tokens(mask=True), outputs=["scores"], axes={"input_ids": {0: "b", 1: "s"}, "attention_mask": {0: "b", 1: "s"}, "scores": {0: "b", 1: "b"}})(lambda: Splade(True))


class Siamese(nn.Module):
    """Two sentences through one encoder; u, v, |u - v|, u * v concatenated; cosine beside."""
    def __init__(self):
        super().__init__()
        self.embed, self.body, self.head = nn.EmbeddingBag(V, D, mode="mean"), ffn(), nn.Linear(4 * D + 2, 3)
    def forward(self, a, b):
        u, v = self.body(self.embed(a)), self.body(self.embed(b))
        near = F.cosine_similarity(u, v, dim=1, eps=1e-6)
        far = F.pairwise_distance(u, v)
        return self.head(torch.cat([u, v, torch.abs(u - v), u * v, near[:, None], far.unsqueeze(-1)], dim=-1))


def two(case): return {"premise": torch.randint(1, V, ((3, 7), (4, 7))[case]), "hypothesis": torch.randint(1, V, ((3, 5), (4, 5))[case])}


model("n-siamese", "classification", opset=17, inputs=two, axes={"premise": {0: "b"}, "hypothesis": {0: "b"}, "logits": {0: "b"}})(Siamese)


class Biaffine(nn.Module):
    """Dependency parser: arcs by x W y with ones appended, by einsum over three operands."""
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(V, D), nn.LSTM(D, D // 2, num_layers=2, bidirectional=True, batch_first=True)
        self.head, self.dep, self.w = nn.Linear(D, 12), nn.Linear(D, 12), nn.Parameter(torch.randn(3, 13, 12))
    def forward(self, ids):
        x, _ = self.lstm(self.embed(ids))
        h, d = F.leaky_relu(self.head(x), 0.1), F.leaky_relu(self.dep(x), 0.1)
        d = torch.cat((d, torch.ones_like(d[..., :1])), -1)
        return torch.einsum("bxi,oij,byj->bxyo", d, self.w, h).mean(-1)


model("n-biaffine", TOK, opset=17, inputs=tokens(), by_graph=True, axes={"input_ids": {0: "b", 1: "s"}, "logits": {0: "b", 1: "s", 2: "s"}})(Biaffine)


class Packed(nn.Module):
    """pack_padded_sequence with lengths as an input, max pooling over real steps, attention pooling."""
    def __init__(self, cell=nn.LSTM):
        super().__init__()
        self.embed, self.rnn, self.score, self.head = nn.Embedding(V, D), cell(D, D // 2, bidirectional=True), nn.Linear(D, 1), nn.Linear(2 * D, 4)
    def forward(self, ids, lengths):
        x = self.embed(ids).transpose(0, 1)
        out, _ = self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=True))
        x, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=ids.shape[1])
        gone = torch.arange(ids.shape[1])[None] >= lengths[:, None]
        most = x.masked_fill(gone[..., None], -1e9).max(1)[0]
        a = self.score(torch.tanh(x)).squeeze(-1).masked_fill(gone, float("-inf")).softmax(1)
        return self.head(torch.cat([most, torch.bmm(a.unsqueeze(1), x).squeeze(1)], 1))


def lengths(case): return {"input_ids": tokens()(case)["input_ids"], "lengths": torch.tensor(((11, 6), (7, 4, 2))[case])}


model("n-packed-lstm", "classification", opset=17, inputs=lengths, axes={"input_ids": {0: "b", 1: "s"}, "lengths": {0: "b"}, "logits": {0: "b"}})(Packed)
model("n-packed-gru", "classification", opset=14, fold=False, inputs=lengths, axes={"input_ids": {0: "b", 1: "s"}, "lengths": {0: "b"}, "logits": {0: "b"}})(lambda: Packed(nn.GRU))


class CharCnn(nn.Module):
    """ELMo's character convolutions: maximum over characters, highway layers, then words through an LSTM."""
    def __init__(self):
        super().__init__()
        self.chars, self.convs, self.high, self.lstm, self.head = nn.Embedding(60, 6), nn.ModuleList(nn.Conv1d(6, c, k) for c, k in ((8, 1), (8, 2), (16, 3))), nn.ModuleList(nn.Linear(32, 64) for _ in range(2)), nn.LSTM(32, 16, batch_first=True), nn.Linear(16, 5)
    def forward(self, chars):
        b, s, c = chars.shape
        x = self.chars(chars.view(-1, c)).transpose(1, 2)
        x = torch.cat([F.relu(torch.max(conv(x), dim=-1)[0]) for conv in self.convs], dim=-1)
        for l in self.high:
            a, g = l(x).chunk(2, dim=-1)
            g = torch.sigmoid(g)
            x = g * x + (1 - g) * F.relu(a)
        return self.head(self.lstm(x.view(b, s, -1))[0])


model("n-char-cnn", TOK, opset=17, by_graph=True, inputs=lambda c: {"chars": torch.randint(0, 60, ((2, 5, 8), (3, 7, 8))[c])}, axes={"chars": {0: "b", 1: "s"}, "logits": {0: "b", 1: "s"}})(CharCnn)


class Crf(nn.Module):
    """Forward algorithm of a linear-chain CRF over a fixed length, logsumexp at each step; scores of each tag at the end."""
    def __init__(self):
        super().__init__()
        self.embed, self.emit, self.trans, self.start = nn.Embedding(V, D), nn.Linear(D, 6), nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(6))
    def forward(self, ids):
        e = self.emit(torch.tanh(self.embed(ids)))
        alpha = self.start + e[:, 0]
        for t in range(1, 7): alpha = torch.logsumexp(alpha.unsqueeze(2) + self.trans, dim=1) + e[:, t]
        return alpha


model("n-crf", "classification", opset=17, inputs=tokens(pairs=((2, 7), (3, 7))), axes={"input_ids": {0: "batch"}, "logits": {0: "batch"}})(Crf)


class Funnel(nn.Module):
    """Pooling of the queries between blocks by strided mean, upsampling by repeat_interleave; separate class token."""
    def __init__(self):
        super().__init__()
        self.embed, self.cls, self.attn, self.norm, self.head = nn.Embedding(V, D), nn.Parameter(torch.randn(1, 1, D)), nn.MultiheadAttention(D, H, bias=False, kdim=D, vdim=D, add_zero_attn=True), nn.LayerNorm(D), nn.Linear(D, 5)
    def forward(self, ids):
        x = self.embed(ids)
        p = torch.cat([self.cls.repeat(x.size(0), 1, 1), F.avg_pool1d(x.transpose(1, 2), 2, 2, ceil_mode=True).transpose(1, 2)], 1)
        a, _ = self.attn(p.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1), need_weights=False)
        y = self.norm(p + a.transpose(0, 1))
        up = torch.repeat_interleave(y[:, 1:], repeats=2, dim=1)
        return self.head(x + up[:, :ids.shape[1]] + y[:, :1])


model("n-funnel", TOK, opset=17, inputs=tokens(pairs=((2, 12), (2, 12))), axes=fixed)(Funnel)
