//! What `/etc/resolv.conf` says, as far as the user asks for something else than the cloud has written.

use std::net::IpAddr;

use sockerless_agent_wire::mesh::MeshView;

/// The file, changed as asked; none if nothing is asked for.
pub fn changed(file: &str, view: &MeshView) -> Option<String> {
    let MeshView { name_servers, search, resolver_options, .. } = view;
    if name_servers.is_empty() && search.is_empty() && resolver_options.is_empty() {
        return None;
    }
    let replaced = |word: &str| match word {
        "nameserver" => !name_servers.is_empty(),
        "search" | "domain" => !search.is_empty(),
        "options" => !resolver_options.is_empty(),
        _ => false,
    };
    let kept = file.lines().filter(|line| !line.split_whitespace().next().is_some_and(&replaced));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.extend(name_servers.iter().map(|server| format!("nameserver {server}")));
    // A dot alone is Docker's word for none.
    if !search.is_empty() && search != &["."] {
        lines.push(format!("search {}", search.join(" ")));
    }
    if !resolver_options.is_empty() {
        lines.push(format!("options {}", resolver_options.join(" ")));
    }
    Some(lines.into_iter().map(|line| line + "\n").collect())
}

/// The name servers in a file; without any, resolvers ask this machine.
pub fn servers(file: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.split('%').next()?.parse().ok())?
    };
    let found: Vec<IpAddr> = file.lines().filter_map(server).collect();
    if found.is_empty() { vec![[127, 0, 0, 1].into(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# of the cloud\nnameserver 169.254.169.254\nsearch a.internal\noptions ndots:2\n";

    #[test]
    fn what_is_asked_for_replaces_what_the_cloud_has_written() {
        let mut view = MeshView::default();
        assert_eq!(changed(FILE, &view), None);
        view.name_servers = vec!["1.1.1.1".parse().unwrap(), "8.8.8.8".parse().unwrap()];
        let expected =
            "# of the cloud\nsearch a.internal\noptions ndots:2\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n";
        assert_eq!(changed(FILE, &view).unwrap(), expected);
        view.name_servers.clear();
        (view.search, view.resolver_options) = (vec!["x.y".into(), "z".into()], vec!["timeout:1".into()]);
        let expected = "# of the cloud\nnameserver 169.254.169.254\nsearch x.y z\noptions timeout:1\n";
        assert_eq!(changed(FILE, &view).unwrap(), expected);
        view.search = vec![".".into()];
        assert!(!changed(FILE, &view).unwrap().contains("search"));
    }

    #[test]
    fn the_servers_of_a_file_are_found() {
        assert_eq!(servers(FILE), [IpAddr::from([169, 254, 169, 254])]);
        assert_eq!(servers("nameserver fe80::1%eth0\n"), ["fe80::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(servers("")[0], IpAddr::from([127, 0, 0, 1]));
    }
}
