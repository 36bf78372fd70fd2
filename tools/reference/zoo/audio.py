"""Audio: wav2vec2, Conformer, keyword spotting, HuBERT-like classification."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model
from decoders import Block, D, H

HD = D // H


def wave(lengths=((2, 400), (3, 320))):
    return lambda c: {"input_values": torch.randn(lengths[c])}


class Wav2Vec2(nn.Module):
    """Seven-fold convolutional front with GroupNorm, positional convolution with weight norm, post-norm encoder, token scores."""
    def __init__(self, old=True, layer_norm=False):
        super().__init__()
        w = self.wav2vec2 = Block()
        w.feature_extractor = Block()
        w.feature_extractor.conv_layers = nn.ModuleList()
        for i, (k, s) in enumerate(((10, 5), (3, 2), (2, 2))):
            b = Block()
            b.conv = nn.Conv1d(1 if i == 0 else 16, 16, k, s, bias=layer_norm)
            b.layer_norm = nn.LayerNorm(16) if layer_norm else nn.GroupNorm(16, 16) if i == 0 else nn.Identity()
            w.feature_extractor.conv_layers.append(b)
        self.by_layer = layer_norm
        w.feature_projection = Block()
        w.feature_projection.layer_norm, w.feature_projection.projection = nn.LayerNorm(16), nn.Linear(16, D)
        w.encoder = Block()
        w.encoder.pos_conv_embed = Block()
        norm = nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm
        w.encoder.pos_conv_embed.conv = norm(nn.Conv1d(D, D, 8, padding=4, groups=4), name="weight", dim=2)
        w.encoder.layer_norm = nn.LayerNorm(D)
        w.encoder.layers = nn.ModuleList()
        for _ in range(2):
            l = Block()
            l.attention, l.feed_forward = Block(), Block()
            for n in ("k_proj", "v_proj", "q_proj", "out_proj"): setattr(l.attention, n, nn.Linear(D, D))
            l.layer_norm, l.final_layer_norm = nn.LayerNorm(D), nn.LayerNorm(D)
            l.feed_forward.intermediate_dense, l.feed_forward.output_dense = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
            w.encoder.layers.append(l)
        self.lm_head = nn.Linear(D, 11)

    def forward(self, x):
        w = self.wav2vec2
        x = x[:, None]
        for b in w.feature_extractor.conv_layers:
            x = b.conv(x)
            x = F.gelu(b.layer_norm(x.transpose(-2, -1)).transpose(-2, -1) if self.by_layer else b.layer_norm(x))
        x = x.transpose(1, 2)
        x = w.feature_projection.projection(w.feature_projection.layer_norm(x))
        p = F.gelu(w.encoder.pos_conv_embed.conv(x.transpose(1, 2))[:, :, :-1]).transpose(1, 2)
        x = w.encoder.layer_norm(x + p)
        b, s, _ = x.shape
        for l in w.encoder.layers:
            q, k, v = (getattr(l.attention, n)(x).view(b, s, H, HD).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
            a = ((q * HD ** -0.5) @ k.transpose(-1, -2)).softmax(-1) @ v
            x = l.layer_norm(x + l.attention.out_proj(a.transpose(1, 2).reshape(b, s, D)))
            x = l.final_layer_norm(x + l.feed_forward.output_dense(F.gelu(l.feed_forward.intermediate_dense(x))))
        return self.lm_head(x)


AXES = {"input_values": {0: "batch", 1: "samples"}, "logits": {0: "batch", 1: "frames"}}
model("wav2vec2", "token_classification", opset=17, inputs=wave(), axes=AXES)(Wav2Vec2)
model("wav2vec2-unfolded", "token_classification", opset=14, fold=False, inputs=wave(), axes=AXES)(Wav2Vec2)
model("wav2vec2-parametrized", "token_classification", opset=17, fold=False, inputs=wave(), axes=AXES)(lambda: Wav2Vec2(False))
model("wav2vec2-layer-norm", "token_classification", opset=18, inputs=wave(), axes=AXES)(lambda: Wav2Vec2(False, True))
model("wav2vec2-half", "token_classification", opset=17, dtype=torch.float16, inputs=wave(), axes=AXES)(Wav2Vec2)


class Conformer(nn.Module):
    """Macaron feed-forward, attention, GLU convolution module with depthwise convolution and BatchNorm."""
    def __init__(self):
        super().__init__()
        self.input = nn.Linear(12, D)
        self.ff1, self.ff1b, self.ff2, self.ff2b = nn.Linear(D, 2 * D), nn.Linear(2 * D, D), nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(5))
        self.attention = nn.ModuleList(nn.Linear(D, D) for _ in range(4))
        self.point1, self.depth, self.bn, self.point2 = nn.Conv1d(D, 2 * D, 1), nn.Conv1d(D, D, 7, padding=3, groups=D), nn.BatchNorm1d(D), nn.Conv1d(D, D, 1)
        self.head = nn.Linear(D, 11)
    def forward(self, x):
        x = self.input(x)
        n = self.norms
        x = x + 0.5 * self.ff1b(F.silu(self.ff1(n[0](x))))
        b, s, _ = x.shape
        q, k, v = (l(n[1](x)).view(b, s, H, HD).transpose(1, 2) for l in self.attention[:3])
        x = x + self.attention[3](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, s, D))
        h = F.glu(self.point1(n[2](x).transpose(1, 2)), dim=1)
        x = x + self.point2(F.silu(self.bn(self.depth(h)))).transpose(1, 2)
        x = x + 0.5 * self.ff2b(F.silu(self.ff2(n[3](x))))
        return F.log_softmax(self.head(n[4](x)), dim=-1)


FRAMES = {"features": {0: "batch", 1: "frames"}, "logits": {0: "batch", 1: "frames"}}
model("conformer", "token_classification", opset=17, training="preserve", inputs=lambda c: {"features": torch.randn(((2, 9, 12), (3, 6, 12))[c])}, axes=FRAMES)(Conformer)


class Keywords(nn.Module):
    """Log of squared frames, convolution over time and frequency, temporal statistics pooled."""
    def __init__(self):
        super().__init__()
        self.window, self.conv, self.bn, self.fc = nn.Conv1d(1, 16, 20, 10), nn.Conv2d(1, 6, (3, 3), padding=1), nn.BatchNorm2d(6), nn.Linear(12 * 16, 5)
    def forward(self, x):
        x = torch.log(self.window(x[:, None]) ** 2 + 1e-3)
        x = F.relu6(self.bn(self.conv(x[:, None]))).flatten(1, 2)
        m = x.mean(-1)
        v = torch.sqrt(((x - m[..., None]) ** 2).mean(-1) + 1e-4)
        return self.fc(torch.cat([m, v], -1))


model("keyword-spotting", "classification", opset=17, training="preserve", inputs=wave(((2, 200), (3, 260))), axes={"input_values": {0: "batch", 1: "samples"}, "logits": {0: "batch"}})(Keywords)


class StdPool(nn.Module):
    """x-vector: dilated Conv1d, statistics pooling by torch.var, unit length."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv1d(12, 16, 5), nn.Conv1d(16, 16, 3, dilation=2), nn.Linear(32, 6)
    def forward(self, x):
        x = F.leaky_relu(self.b(F.leaky_relu(self.a(x))))
        return self.c(torch.cat([x.mean(2), x.std(2)], 1))


model("x-vector", "classification", opset=17, inputs=lambda c: {"features": torch.randn(((2, 12, 20), (3, 12, 26))[c])}, axes={"features": {0: "batch", 2: "frames"}, "logits": {0: "batch"}})(StdPool)
