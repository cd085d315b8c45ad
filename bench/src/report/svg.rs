//! What the plots have in common: plain SVG, no script, no font but the viewer's.

/// The width of every plot.
pub(super) const WIDTH: usize = 760;
/// The room at its edges.
pub(super) const MARGIN: usize = 20;
/// Where the panels begin.
pub(super) const HEAD: usize = 62;

/// Starts a plot whose panels take `height`, with its title and the line on where, when and how.
pub(super) fn start(title: &str, circumstances: &str, height: usize) -> String {
    let total = HEAD + height + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" \
         viewBox=\"0 0 {WIDTH} {total}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2430\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        MARGIN,
        28,
        "font-size=\"17\" font-weight=\"600\"",
        title,
    );
    text(
        &mut svg,
        MARGIN,
        48,
        "font-size=\"11\" fill=\"#667085\"",
        circumstances,
    );
    svg
}

/// Ends it.
pub(super) fn end(mut svg: String) -> String {
    svg += "</svg>\n";
    svg
}

/// Adds text that starts at a place, unless `style` anchors it otherwise.
pub(super) fn text(svg: &mut String, x: usize, y: usize, style: &str, content: &str) {
    *svg += &format!("<text x=\"{x}\" y=\"{y}\" {style}>{}</text>\n", escape(content));
}

/// The colour of a server: Gatewire's are warm, that which is compared with is dark.
pub(super) fn colour(peer: &str, base: &str) -> &'static str {
    match peer {
        "gatewire-ws" => "#f2a154",
        name if name.starts_with("gatewire") => "#e4572e",
        name if name == base => "#475467",
        _ => "#98a2b3",
    }
}

/// The colour of a line among many.
pub(super) fn line_colour(peer: &str) -> &'static str {
    match peer {
        "gatewire" => "#e4572e",
        "gatewire-ws" => "#f2a154",
        "socketioxide" => "#1f4e8c",
        "axum" => "#5b9bd5",
        "socketio" => "#2e7d4f",
        "nest-socketio" => "#8bc34a",
        "ws" => "#7b5ea7",
        "nest-ws" => "#c39bd3",
        _ => "#98a2b3",
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
