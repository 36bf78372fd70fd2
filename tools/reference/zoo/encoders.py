"""Compact encoders: BERT family, DeBERTa, sentence embeddings, CLIP, torch's own transformer modules, Einsum attention, recurrent taggers."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens, images
from decoders import Block, V, D, H, L

HD = D // H


class BertSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, x, mask, sdpa=False):
        b, s, _ = x.shape
        q, k, v = (t(x).view(b, s, H, HD).permute(0, 2, 1, 3) for t in (self.query, self.key, self.value))
        if sdpa: a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            w = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(HD)
            a = F.softmax(w + mask, dim=-1) @ v
        return a.permute(0, 2, 1, 3).contiguous().view(b, s, D)


def bert_layer():
    l = Block()
    l.attention = Block()
    l.attention.self = BertSelfAttention()
    l.attention.output = Block()
    l.attention.output.dense, l.attention.output.LayerNorm = nn.Linear(D, D), nn.LayerNorm(D, eps=1e-12)
    l.intermediate, l.output = Block(), Block()
    l.intermediate.dense = nn.Linear(D, 2 * D)
    l.output.dense, l.output.LayerNorm = nn.Linear(2 * D, D), nn.LayerNorm(D, eps=1e-12)
    return l


class BertBody(nn.Module):
    def __init__(self, types=True, roberta=False, pooler=False, sdpa=False):
        super().__init__()
        self.roberta, self.sdpa = roberta, sdpa
        e = self.embeddings = Block()
        e.word_embeddings, e.position_embeddings, e.token_type_embeddings = nn.Embedding(V, D), nn.Embedding(64, D), nn.Embedding(2, D)
        e.LayerNorm = nn.LayerNorm(D, eps=1e-12)
        self.register_buffer("position_ids", torch.arange(64)[None], persistent=False)
        self.encoder = Block()
        self.encoder.layer = nn.ModuleList(bert_layer() for _ in range(L))
        if pooler:
            self.pooler = Block()
            self.pooler.dense = nn.Linear(D, D)

    def forward(self, ids, attention_mask, types=None):
        e = self.embeddings
        if self.roberta:
            real = ids.ne(1).int()
            positions = (torch.cumsum(real, dim=1).type_as(real) * real).long() + 1
        else: positions = self.position_ids[:, :ids.shape[1]]
        if types is None: types = torch.zeros_like(ids)
        x = e.LayerNorm(e.word_embeddings(ids) + e.token_type_embeddings(types) + e.position_embeddings(positions))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        if self.sdpa: mask = mask.expand(-1, -1, ids.shape[1], -1)
        for l in self.encoder.layer:
            a = l.attention.output.LayerNorm(l.attention.output.dense(l.attention.self(x, mask, self.sdpa)) + x)
            x = l.output.LayerNorm(l.output.dense(F.gelu(l.intermediate.dense(a))) + a)
        return x


class BertTokens(nn.Module):
    def __init__(self, sdpa=False):
        super().__init__()
        self.bert, self.classifier = BertBody(sdpa=sdpa), nn.Linear(D, 5)
        self.dropout = nn.Dropout(0.1)
    def forward(self, ids, mask, types): return self.classifier(self.dropout(self.bert(ids, mask, types)))


model("bert-tokens", "token_classification", opset=17, inputs=tokens(mask=True, types=True))(BertTokens)
model("bert-tokens-sdpa", "token_classification", opset=14, fold=False, inputs=tokens(mask=True, types=True))(lambda: BertTokens(True))
model("bert-tokens-opset11", "token_classification", opset=11, inputs=tokens(mask=True, types=True))(BertTokens)
model("bert-half", "token_classification", opset=17, dtype=torch.float16, inputs=tokens(mask=True, types=True))(BertTokens)


class BertMaskedLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert, self.cls = BertBody(), Block()
        self.cls.predictions = p = Block()
        p.transform = Block()
        p.transform.dense, p.transform.LayerNorm = nn.Linear(D, D), nn.LayerNorm(D, eps=1e-12)
        p.decoder = nn.Linear(D, V)
        p.decoder.weight = self.bert.embeddings.word_embeddings.weight
    def forward(self, ids, mask, types):
        p = self.cls.predictions
        return p.decoder(p.transform.LayerNorm(F.gelu(p.transform.dense(self.bert(ids, mask, types)))))


model("bert-masked-lm", "token_classification", opset=16, inputs=tokens(mask=True, types=True))(BertMaskedLM)


class Roberta(nn.Module):
    def __init__(self):
        super().__init__()
        self.roberta, self.classifier = BertBody(roberta=True), Block()
        self.classifier.dense, self.classifier.out_proj = nn.Linear(D, D), nn.Linear(D, 3)
    def forward(self, ids, mask):
        return self.classifier.out_proj(torch.tanh(self.classifier.dense(self.roberta(ids, mask)[:, 0, :])))


model("roberta", "classification", opset=17, inputs=tokens(mask=True))(Roberta)
model("roberta-unfolded", "classification", opset=13, fold=False, inputs=tokens(mask=True))(Roberta)


class DistilBert(nn.Module):
    def __init__(self):
        super().__init__()
        d = self.distilbert = Block()
        d.embeddings = Block()
        d.embeddings.word_embeddings, d.embeddings.position_embeddings, d.embeddings.LayerNorm = nn.Embedding(V, D), nn.Embedding(64, D), nn.LayerNorm(D, eps=1e-12)
        d.transformer = Block()
        d.transformer.layer = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.attention, l.ffn = Block(), Block()
            for n in ("q_lin", "k_lin", "v_lin", "out_lin"): setattr(l.attention, n, nn.Linear(D, D))
            l.sa_layer_norm, l.output_layer_norm = nn.LayerNorm(D, eps=1e-12), nn.LayerNorm(D, eps=1e-12)
            l.ffn.lin1, l.ffn.lin2 = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
            d.transformer.layer.append(l)
        self.pre_classifier, self.classifier = nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, ids, mask):
        d = self.distilbert
        b, s = ids.shape
        x = d.embeddings.LayerNorm(d.embeddings.word_embeddings(ids) + d.embeddings.position_embeddings(torch.arange(s)[None].expand_as(ids)))
        for l in d.transformer.layer:
            q, k, v = (getattr(l.attention, n)(x).view(b, -1, H, HD).transpose(1, 2) for n in ("q_lin", "k_lin", "v_lin"))
            w = torch.matmul(q / math.sqrt(HD), k.transpose(2, 3))
            gone = (mask == 0).view(b, 1, 1, s).expand_as(w)
            w = w.masked_fill(gone, torch.tensor(torch.finfo(w.dtype).min, dtype=w.dtype))
            a = l.attention.out_lin((F.softmax(w, -1) @ v).transpose(1, 2).contiguous().view(b, -1, D))
            x = l.sa_layer_norm(a + x)
            x = l.output_layer_norm(l.ffn.lin2(F.gelu(l.ffn.lin1(x))) + x)
        return self.classifier(F.relu(self.pre_classifier(x[:, 0])))


model("distilbert", "classification", opset=14, inputs=tokens(mask=True))(DistilBert)
model("distilbert-unfolded", "classification", opset=12, fold=False, inputs=tokens(mask=True))(DistilBert)


class Deberta(nn.Module):
    """Disentangled attention: content-to-position and position-to-content scores gathered by relative distance."""
    def __init__(self, span=4):
        super().__init__()
        self.span = span
        self.deberta = d = Block()
        d.embeddings = Block()
        d.embeddings.word_embeddings, d.embeddings.LayerNorm = nn.Embedding(V, D), nn.LayerNorm(D, eps=1e-7)
        d.encoder = Block()
        d.encoder.rel_embeddings, d.encoder.LayerNorm = nn.Embedding(2 * span, D), nn.LayerNorm(D, eps=1e-7)
        d.encoder.layer = nn.ModuleList()
        for _ in range(L):
            l = bert_layer()
            l.attention.self = Block()
            for n in ("query_proj", "key_proj", "value_proj"): setattr(l.attention.self, n, nn.Linear(D, D))
            d.encoder.layer.append(l)
        self.classifier = nn.Linear(D, 3)

    def forward(self, ids, mask):
        d = self.deberta
        b, s = ids.shape
        x = d.embeddings.LayerNorm(d.embeddings.word_embeddings(ids)) * mask[:, :, None].to(torch.float32)
        rel = d.encoder.LayerNorm(d.encoder.rel_embeddings.weight)
        at = torch.arange(s)
        distance = at[:, None] - at[None, :]
        c2p = torch.clamp(distance + self.span, 0, 2 * self.span - 1)
        p2c = torch.clamp(-distance + self.span, 0, 2 * self.span - 1)
        both = mask[:, None, None, :] * mask[:, None, :, None]
        for l in d.encoder.layer:
            a = l.attention.self
            heads = lambda t: t.view(t.shape[0], t.shape[1], H, HD).permute(0, 2, 1, 3).reshape(-1, t.shape[1], HD)
            q, k, v = heads(a.query_proj(x)), heads(a.key_proj(x)), heads(a.value_proj(x))
            scale = math.sqrt(HD * 3)
            w = torch.bmm(q, k.transpose(-1, -2) / scale)
            pk, pq = heads(a.key_proj(rel[None])).repeat(b, 1, 1), heads(a.query_proj(rel[None])).repeat(b, 1, 1)
            w = w + torch.gather(torch.bmm(q, pk.transpose(-1, -2)), -1, c2p[None].expand(b * H, s, s)) / scale
            w = w + torch.gather(torch.bmm(k, pq.transpose(-1, -2)), -1, p2c[None].expand(b * H, s, s)).transpose(-1, -2) / scale
            w = w.view(-1, H, s, s)
            gone = ~both.bool()
            p = torch.softmax(w.masked_fill(gone, torch.finfo(w.dtype).min), -1).masked_fill(gone, 0.0)
            c = torch.bmm(p.view(-1, s, s), v).view(-1, H, s, HD).permute(0, 2, 1, 3).reshape(b, s, D)
            h = l.attention.output.LayerNorm(l.attention.output.dense(c) + x)
            x = l.output.LayerNorm(l.output.dense(F.gelu(l.intermediate.dense(h))) + h)
        return self.classifier(x[:, 0])


model("deberta", "classification", opset=17, inputs=tokens(mask=True))(Deberta)
model("deberta-unfolded", "classification", opset=15, fold=False, inputs=tokens(mask=True))(Deberta)


class SentenceEmbedding(nn.Module):
    """Mean pooling over real tokens, unit length."""
    def __init__(self):
        super().__init__()
        self.bert = BertBody()
    def forward(self, ids, mask):
        x = self.bert(ids, mask)
        m = mask.unsqueeze(-1).expand(x.size()).to(x.dtype)
        return F.normalize(torch.sum(x * m, 1) / torch.clamp(m.sum(1), min=1e-9), p=2, dim=1)


model("sentence-embedding", "mse", opset=17, inputs=tokens(mask=True), outputs=["sentence_embedding"])(SentenceEmbedding)
model("sentence-embedding-opset12", "mse", opset=12, fold=False, inputs=tokens(mask=True), outputs=["sentence_embedding"])(SentenceEmbedding)


class Clip(nn.Module):
    """Two towers and a learned temperature; the scores are image against text."""
    def __init__(self):
        super().__init__()
        self.text_model, self.vision_model = Block(), Block()
        self.text_model.embeddings = Block()
        self.text_model.embeddings.token_embedding, self.text_model.embeddings.position_embedding = nn.Embedding(V, D), nn.Embedding(32, D)
        self.text_model.layers = nn.ModuleList(self.layer() for _ in range(1))
        self.text_model.final_layer_norm = nn.LayerNorm(D)
        e = self.vision_model.embeddings = Block()
        e.class_embedding, e.patch_embedding, e.position_embedding = nn.Parameter(torch.randn(D)), nn.Conv2d(3, D, 8, 8, bias=False), nn.Embedding(17, D)
        self.vision_model.pre_layrnorm, self.vision_model.post_layernorm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.vision_model.layers = nn.ModuleList(self.layer() for _ in range(1))
        self.visual_projection, self.text_projection = nn.Linear(D, 24, bias=False), nn.Linear(D, 24, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))

    def layer(self):
        l = Block()
        l.self_attn, l.mlp = Block(), Block()
        for n in ("k_proj", "v_proj", "q_proj", "out_proj"): setattr(l.self_attn, n, nn.Linear(D, D))
        l.layer_norm1, l.layer_norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        l.mlp.fc1, l.mlp.fc2 = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
        return l

    def run(self, l, x, mask):
        b, s, _ = x.shape
        h = l.layer_norm1(x)
        q, k, v = (getattr(l.self_attn, n)(h).view(b, s, H, HD).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        w = q * HD ** -0.5 @ k.transpose(-1, -2)
        if mask is not None: w = w + mask
        x = x + l.self_attn.out_proj((F.softmax(w, -1) @ v).transpose(1, 2).reshape(b, s, D))
        h = l.mlp.fc1(l.layer_norm2(x))
        return x + l.mlp.fc2(h * torch.sigmoid(1.702 * h))

    def forward(self, ids, pixels):
        t, vm = self.text_model, self.vision_model
        s = ids.shape[1]
        x = t.embeddings.token_embedding(ids) + t.embeddings.position_embedding(torch.arange(s)[None])
        causal = torch.full((s, s), float("-inf"), dtype=x.dtype).triu(1)
        for l in t.layers: x = self.run(l, x, causal)
        x = t.final_layer_norm(x)
        text = self.text_projection(x[torch.arange(x.shape[0]), ids.to(torch.int).argmax(dim=-1)])
        e = vm.embeddings
        p = e.patch_embedding(pixels).flatten(2).transpose(1, 2)
        y = torch.cat([e.class_embedding.expand(pixels.shape[0], 1, -1), p], dim=1) + e.position_embedding(torch.arange(17)[None])
        y = vm.pre_layrnorm(y)
        for l in vm.layers: y = self.run(l, y, None)
        image = self.visual_projection(vm.post_layernorm(y[:, 0, :]))
        image, text = image / image.norm(p=2, dim=-1, keepdim=True), text / text.norm(p=2, dim=-1, keepdim=True)
        return (text @ image.t() * self.logit_scale.exp()).t()


def pair(case):
    return {**tokens(pairs=((2, 9), (4, 7)))(case), **images(batches=(2, 4))(case)}


model("clip", "classification", opset=17, inputs=pair, outputs=["logits_per_image"], labels=lambda i, l, c: torch.arange(l.shape[0]),
    axes={"input_ids": {0: "batch", 1: "sequence"}, "pixel_values": {0: "batch"}, "logits_per_image": {0: "batch", 1: "texts"}})(Clip)
model("clip-unfolded", "classification", opset=14, fold=False, inputs=pair, outputs=["logits_per_image"], labels=lambda i, l, c: torch.arange(l.shape[0]),
    axes={"input_ids": {0: "batch", 1: "sequence"}, "pixel_values": {0: "batch"}, "logits_per_image": {0: "batch", 1: "texts"}})(Clip)


# ---- torch's own modules ------------------------------------------------------------------------------------------

class TorchEncoder(nn.Module):
    def __init__(self, norm_first=False, activation="relu", batch_first=True):
        super().__init__()
        self.embedding, self.batch_first = nn.Embedding(V, D), batch_first
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, H, 2 * D, 0.1, activation, batch_first=batch_first, norm_first=norm_first), L, enable_nested_tensor=False)
        self.head = nn.Linear(D, 4)
    def forward(self, ids):
        x = self.embedding(ids)
        if not self.batch_first: x = x.transpose(0, 1)
        x = self.encoder(x)
        if not self.batch_first: x = x.transpose(0, 1)
        return self.head(x)


# PRESERVE in eval mode keeps the module in eval; train=False tracing goes through the native fast path unless a gradient is needed.
model("torch-encoder", "token_classification", opset=17, inputs=tokens(pairs=((2, 9), (2, 9))))(TorchEncoder)
model("torch-encoder-norm-first", "token_classification", opset=14, fold=False, inputs=tokens(pairs=((2, 9), (2, 9))))(lambda: TorchEncoder(True, "gelu"))
model("torch-encoder-sequence-first", "token_classification", opset=18, inputs=tokens(pairs=((2, 9), (2, 9))))(lambda: TorchEncoder(False, "gelu", False))


class Attentive(nn.Module):
    """nn.MultiheadAttention with padding mask and attention weights."""
    def __init__(self, weights):
        super().__init__()
        self.embedding, self.weights = nn.Embedding(V, D), weights
        self.attention, self.norm, self.head = nn.MultiheadAttention(D, H, batch_first=True), nn.LayerNorm(D), nn.Linear(D, 4)
    def forward(self, ids, mask):
        x = self.embedding(ids)
        a, _ = self.attention(x, x, x, key_padding_mask=mask == 0, need_weights=self.weights)
        return self.head(self.norm(x + a))


model("multihead-attention", "token_classification", opset=17, inputs=tokens(pairs=((2, 9), (2, 9)), mask=True))(lambda: Attentive(True))
model("multihead-attention-fast", "token_classification", opset=15, fold=False, inputs=tokens(pairs=((2, 9), (2, 9)), mask=True))(lambda: Attentive(False))


class TorchSeq2Seq(nn.Module):
    """nn.Transformer with both masks."""
    def __init__(self):
        super().__init__()
        self.src, self.tgt = nn.Embedding(V, D), nn.Embedding(V, D)
        self.transformer = nn.Transformer(D, H, 1, 1, 2 * D, 0.1, batch_first=True)
        self.head = nn.Linear(D, V)
    def forward(self, ids, decoder_ids):
        mask = torch.triu(torch.full((decoder_ids.shape[1],) * 2, float("-inf"), dtype=self.src.weight.dtype), 1)
        return self.head(self.transformer(self.src(ids), self.tgt(decoder_ids), tgt_mask=mask))


def two(case):
    return {"input_ids": torch.randint(1, V, (2, 9)), "decoder_input_ids": torch.randint(1, V, (2, 5))}  # the exporter writes the lengths of nn.MultiheadAttention into the file


model("torch-transformer", "seq2seq_lm", opset=17, inputs=two, axes={"input_ids": {0: "batch", 1: "source"}, "decoder_input_ids": {0: "batch", 1: "target"}, "logits": {0: "batch", 1: "target"}})(TorchSeq2Seq)


class EinsumAttention(nn.Module):
    """Everything by einsum, heads kept apart in the weights."""
    def __init__(self, causal=False):
        super().__init__()
        self.causal = causal
        self.embedding = nn.Embedding(V, D)
        self.layers = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.w_q, l.w_k, l.w_v, l.w_o = (nn.Parameter(torch.randn(*s)) for s in ((D, H, HD), (D, H, HD), (D, H, HD), (H, HD, D)))
            l.norm, l.w1, l.w2 = nn.LayerNorm(D), nn.Parameter(torch.randn(D, 48)), nn.Parameter(torch.randn(48, D))
            self.layers.append(l)
        self.head = nn.Linear(D, V)
    def forward(self, ids):
        x = self.embedding(ids)
        for l in self.layers:
            h = l.norm(x)
            q, k, v = torch.einsum("bsd,dhe->bhse", h, l.w_q), torch.einsum("bsd,dhe->bhse", h, l.w_k), torch.einsum("bsd,dhe->bhse", h, l.w_v)
            w = torch.einsum("bhqe,bhke->bhqk", q, k) / HD ** 0.5
            if self.causal:
                s = ids.shape[1]
                w = w.masked_fill(torch.ones(s, s, dtype=torch.bool).triu(1), float("-inf"))
            a = torch.einsum("bhqk,bhke->bqhe", w.softmax(-1), v)
            x = x + torch.einsum("bqhe,hed->bqd", a, l.w_o)
            x = x + torch.einsum("bsf,fd->bsd", F.gelu(torch.einsum("bsd,df->bsf", x, l.w1)), l.w2)
        return self.head(x)


model("einsum-attention", "causal_lm", opset=17, inputs=tokens())(lambda: EinsumAttention(True))
model("einsum-attention-opset12", "token_classification", opset=12, fold=False, inputs=tokens())(EinsumAttention)
model("einsum-attention-half", "causal_lm", opset=17, dtype=torch.float16, inputs=tokens())(lambda: EinsumAttention(True))


class Tagger(nn.Module):
    def __init__(self, cell, bidirectional=True, layers=1):
        super().__init__()
        self.embedding = nn.Embedding(V, 12)
        self.rnn = cell(12, 10, num_layers=layers, bidirectional=bidirectional, batch_first=True)
        self.head = nn.Linear(20 if bidirectional else 10, 4)
    def forward(self, ids): return self.head(self.rnn(self.embedding(ids))[0])


model("lstm-tagger", "token_classification", opset=17, inputs=tokens())(lambda: Tagger(nn.LSTM))
model("lstm-tagger-deep", "token_classification", opset=13, fold=False, inputs=tokens())(lambda: Tagger(nn.LSTM, False, 2))
model("gru-tagger", "token_classification", opset=17, inputs=tokens())(lambda: Tagger(nn.GRU))
model("gru-tagger-deep", "token_classification", opset=12, inputs=tokens())(lambda: Tagger(nn.GRU, False, 2))
model("rnn-tagger", "token_classification", opset=14, inputs=tokens())(lambda: Tagger(nn.RNN))


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, 16)
        self.convs = nn.ModuleList(nn.Conv1d(16, 8, k, padding=k // 2) for k in (2, 3, 5))
        self.fc = nn.Linear(24, 3)
    def forward(self, ids):
        x = self.embedding(ids).transpose(1, 2)
        return self.fc(torch.cat([F.relu(c(x)).max(dim=2)[0] for c in self.convs], 1))


model("text-cnn", "classification", opset=17, inputs=tokens())(TextCnn)


class EmbeddingBagClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.fc = nn.EmbeddingBag(V, 16, mode="mean"), nn.Linear(16, 3)
    def forward(self, ids): return self.fc(self.embedding(ids))


model("embedding-bag", "classification", opset=17, inputs=tokens(pairs=((2, 8), (2, 8))))(EmbeddingBagClassifier)


class Electra(nn.Module):
    """Embeddings narrower than the body; replaced-token scores, one per token, binary loss."""
    def __init__(self):
        super().__init__()
        self.electra, self.discriminator_predictions = Block(), Block()
        e = self.electra.embeddings = Block()
        e.word_embeddings, e.position_embeddings, e.LayerNorm = nn.Embedding(V, 16), nn.Embedding(64, 16), nn.LayerNorm(16)
        self.electra.embeddings_project = nn.Linear(16, D)
        self.electra.layer = bert_layer()
        self.discriminator_predictions.dense, self.discriminator_predictions.dense_prediction = nn.Linear(D, D), nn.Linear(D, 1)
    def forward(self, ids, mask):
        e = self.electra.embeddings
        x = self.electra.embeddings_project(e.LayerNorm(e.word_embeddings(ids) + e.position_embeddings(torch.arange(ids.shape[1])[None])))
        l = self.electra.layer
        m = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        a = l.attention.output.LayerNorm(l.attention.output.dense(l.attention.self(x, m)) + x)
        x = l.output.LayerNorm(l.output.dense(F.gelu(l.intermediate.dense(a))) + a)
        p = self.discriminator_predictions
        return p.dense_prediction(F.gelu(p.dense(x))).squeeze(-1)


model("electra", "bce", opset=17, inputs=tokens(mask=True))(Electra)
