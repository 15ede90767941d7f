/* A stand-in for the SPA's main bundle: its layout, placeholders, storage keys, requests and quirks, by hand. */
(function () {
  "use strict";
  // Terser folds a placeholder into the literal beside it; the value has to end in a slash.
  var VERIFY = "<REACT_APP_URL_SITE_BACKEND>verifytoken";
  var PROFILE = "<REACT_APP_URL_SITE_BACKEND>profile";
  var LOGOUT = "<REACT_APP_URL_SITE_BACKEND>logout";
  var COUNTS = "<REACT_APP_URL_ELASTICSEARCH>_all/_search";
  // Decided when the bundle was made: a placeholder is not a number. The sidebar counts as for version 6, always.
  var STUDIES = "<REACT_APP_URL_ELASTICSEARCH>study/study/_search";
  var state = { loggedIn: false, userID: undefined, initials: undefined, image: undefined };
  var pages = {};

  function element(name, attributes, children) {
    var made = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (key) {
      if (key.slice(0, 2) === "on") made.addEventListener(key.slice(2), attributes[key]);
      else made.setAttribute(key, attributes[key]);
    });
    [].concat(children === undefined ? [] : children).forEach(function (child) {
      if (child) made.append(child);
    });
    return made;
  }

  // As axios does it: JSON bodies without a charset, any 2xx is success, everything else rejects.
  function request(method, url, options) {
    options = options || {};
    return new Promise(function (resolve, reject) {
      var query = options.params
        ? "?" + Object.keys(options.params).map(function (key) {
            return key + "=" + encodeURIComponent(options.params[key]).replace(/%3A/gi, ":");
          }).join("&")
        : "";
      var call = new XMLHttpRequest();
      call.open(method, url + query);
      call.setRequestHeader("Accept", "application/json, text/plain, */*");
      var body = options.data;
      if (body !== undefined && !(body instanceof FormData)) {
        call.setRequestHeader("Content-Type", "application/json");
        body = JSON.stringify(body);
      }
      Object.keys(options.headers || {}).forEach(function (key) {
        call.setRequestHeader(key, options.headers[key]);
      });
      call.onerror = function () { reject(new Error("Network Error")); };
      call.onload = function () {
        var data = call.responseText;
        try { data = JSON.parse(data); } catch (_error) { /* a text it is */ }
        var answer = { data: data, status: call.status, statusText: call.statusText };
        if (call.status >= 200 && call.status < 300) resolve(answer);
        else reject(Object.assign(new Error("Request failed with status code " + call.status), { response: answer }));
      };
      call.send(body);
    });
  }

  // The literal "Bearer null" is what goes out where nobody has signed in.
  function bearer() {
    return { Authorization: "Bearer " + localStorage.getItem("token") };
  }

  function checkLogIn() {
    if (localStorage.getItem("token") === null) return;
    request("GET", VERIFY, { headers: bearer() }).then(function (response) {
      // HTTP/2 has no reason phrase: there, nobody ever appears to be logged in.
      if (response.statusText === "OK" && !state.loggedIn) {
        return request("GET", PROFILE, { headers: bearer() }).then(function (profile) {
          var data = profile.data;
          state.image = data.image.includes("/") ? data.image : undefined;
          state.initials = data.first_name.charAt(0) + data.last_name.charAt(0);
          state.userID = data.id;
          state.loggedIn = true;
          header();
        });
      }
      // Signed in while signed in: taken for a failure, until the page is loaded anew.
      state.loggedIn = false;
      header();
    }).catch(function () {
      state.loggedIn = false;
      header();
    });
  }

  function signOut() {
    request("POST", LOGOUT, { data: { logout: "true" }, headers: bearer() }).then(function () {
      // The token stays in the storage: only the server can end the session.
      state.loggedIn = false;
      header();
    }).catch(function (error) { console.log(error.data); });
  }

  function link(path, text) {
    return element("a", { href: path, onclick: function (event) { event.preventDefault(); go(path); } }, text);
  }

  function header() {
    var place = document.querySelector("header");
    place.replaceChildren(link("/", "OpenML"), " ", link("/search?type=data&status=active", "Datasets"), " ");
    if (state.loggedIn) {
      place.append(
        element("span", { id: "initials" }, state.initials), " ",
        link("/auth/profile-page", "Profile"), " ", link("/auth/upload-dataset", "Upload"), " ",
        element("button", { id: "sign-out", onclick: signOut }, "Sign Out")
      );
      if (state.image) place.prepend(element("img", { id: "avatar", alt: "", src: state.image, width: "32" }));
    } else {
      place.append(link("/auth/sign-in", "Sign In"), " ", link("/auth/sign-up", "Sign Up"));
    }
  }

  // One for wide screens, one for narrow ones: each asks for its own numbers.
  function sidebar(place) {
    function draw() {
      request("POST", COUNTS, { data: {
        size: 0,
        query: { bool: { should: [{ term: { status: "active" } }, { bool: { must_not: { exists: { field: "status" } } } }] } },
        aggs: { count_by_type: { terms: { field: "_type", size: 100 } } }
      } }).then(function (response) {
        place.replaceChildren.apply(place, response.data.aggregations.count_by_type.buckets.map(function (bucket) {
          return element("p", { "data-type": bucket.key }, bucket.key + " " + bucket.doc_count);
        }));
        return request("POST", STUDIES, { data: {
          size: 0,
          query: { bool: { filter: { bool: { should: [{ wildcard: { name: "*benchmark*" } }, { wildcard: { name: "*suite*" } }] } } } }
        } });
      }).then(function (response) {
        var total = response.data.hits.total;
        // React cannot draw an object: the whole page would be gone.
        if (typeof total === "object") { document.body.replaceChildren(); throw new Error("Objects are not valid as a React child"); }
        place.append(element("p", { "data-type": "benchmark" }, "benchmark " + total));
      }).catch(function (error) { console.log(error); });
    }
    draw();
    setInterval(draw, 60000);
  }

  function go(path, replace) {
    history[replace ? "replaceState" : "pushState"](null, "", path);
    render();
  }

  function chunkOf(path) {
    return path.indexOf("/auth/") === 0 || path === "/feedback" ? "214.9c3e5b70" : path === "/search" ? "305.d17f60aa" : null;
  }

  function load(chunk) {
    return new Promise(function (resolve, reject) {
      document.head.append(element("script", {
        src: "/static/js/" + chunk + ".chunk.js",
        onload: resolve,
        onerror: function () { reject(new Error("ChunkLoadError: Loading chunk " + chunk + " failed.")); }
      }));
    });
  }

  function render() {
    var path = location.pathname.replace(/(.)\/$/, "$1");
    var place = document.querySelector("main");
    var chunk = chunkOf(path);
    if (chunk && !pages[chunk]) {
      load(chunk).then(function () { pages[chunk] = true; render(); }).catch(function (error) { place.textContent = error.message; });
      return;
    }
    var page = pages[path];
    place.replaceChildren();
    if (page) page(place);
    else if (path.indexOf("/dashboard") === 0) place.append(element("h1", {}, "Dashboard server could not be reached."));
    else place.append(element("h1", {}, "404"), element("p", {}, "Page not found."));
  }

  pages["/"] = function (place) {
    place.append(element("h1", {}, "OpenML"), element("p", {}, "Machine learning, better, together"));
  };
  ["/apis", "/contribute", "/meet", "/terms", "/about"].forEach(function (path) {
    pages[path] = function (place) { place.append(element("h1", {}, path.slice(1))); };
  });

  window.standIn = { element: element, request: request, bearer: bearer, checkLogIn: checkLogIn, go: go, pages: pages, state: state };
  document.getElementById("root").append(element("header"), element("aside"), element("aside", { hidden: "" }), element("main"));
  header();
  document.querySelectorAll("aside").forEach(sidebar);
  window.addEventListener("popstate", render);
  render();
  checkLogIn();
})();
//# sourceMappingURL=main.4f8a21c7.js.map
