/* The pages below /auth/, and /feedback. */
(function () {
  "use strict";
  var app = window.standIn, el = app.element, pages = app.pages, request = app.request;
  var MAIL = /[a-zA-Z0-9]+@(?:[a-zA-Z0-9-]+\.)+[A-Za-z]+$/;
  var PROFILE_MAIL = /^[a-zA-Z0-9._+-]+@(?:[a-zA-Z0-9]+\.)+[A-Za-z]+$/;

  function field(id, label, type) {
    return el("p", {}, [el("label", { for: id }, label), " ", el(type === "area" ? "textarea" : "input", { id: id, name: id, type: type || "text" })]);
  }
  function message(text) { return el("p", { id: "message", role: "alert" }, text || ""); }
  function say(text) { document.getElementById("message").textContent = text; }
  function form(title, fields, button, submit) {
    return function (place) {
      place.append(el("h1", {}, title), message(), el("form", { onsubmit: function (event) { event.preventDefault(); submit(event.target); } },
        fields().concat(el("button", { type: "submit" }, button))));
    };
  }
  function values(target, names) {
    var found = {};
    Object.keys(names).forEach(function (key) { found[key] = target[names[key]].value; });
    return found;
  }
  function quietly(error) { console.log(error.data); }

  pages["/auth/sign-up"] = form("Almost there", function () {
    return [field("fname", "First name"), field("lname", "Last name"), field("email", "Email Address (we never share your email)"),
      field("password", "Password (min 8 characters)", "password")];
  }, "Sign up for OpenML", function (target) {
    console.log(target.email.value);
    console.log(target.password.value);
    if (target.password.value.length < 8) return say("Password too weak. Use at least 8 characters, with numbers, digits, and special characters.");
    if (!MAIL.test(target.email.value)) return say("Please enter valid email");
    request("POST", "<REACT_APP_URL_SITE_BACKEND>signup", { data: values(target, { first_name: "fname", last_name: "lname", email: "email", password: "password" }) })
      .then(function (response) {
        if (response.data.msg === "User created") app.go("/auth/sign-in");
        else if (response.data.msg === "User already exists") say("User already exists");
      }).catch(quietly);
  });

  pages["/auth/sign-in"] = form("Welcome back", function () {
    return [field("email", "Email Address"), field("password", "Password", "password"),
      el("p", {}, [el("input", { id: "remember", type: "checkbox" }), el("label", { for: "remember" }, "Remember me")]),
      el("a", { href: "/auth/reset-password" }, "Forgot password")];
  }, "Sign in", function (target) {
    request("POST", "<REACT_APP_URL_SITE_BACKEND>login", { data: values(target, { email: "email", password: "password" }) })
      .then(function (response) {
        if (response.data.msg === "NotConfirmed") {
          say("User not confirmed ");
          document.getElementById("message").append(el("a", { href: "/auth/confirmation-token" }, "(resend activation token)"));
        } else if (response.data.msg === "Wrong username or password" || response.data.msg === "wrong password") {
          say("Wrong username or password");
        } else {
          // Whatever else comes with 2xx is success; without a token the word "undefined" is kept.
          localStorage.setItem("token", response.data.access_token);
          app.checkLogIn();
          app.go("/auth/profile-page");
        }
      }).catch(function (error) { say(String(error)); });
  });

  pages["/auth/confirm-page"] = function (place) {
    var data = { url: window.location.href };
    // Twice: the answer to the first draws the page again, and drawing sends.
    request("POST", "<REACT_APP_URL_SITE_BACKEND>confirmation", { data: data }).then(function () {
      request("POST", "<REACT_APP_URL_SITE_BACKEND>confirmation", { data: data }).catch(quietly);
      app.go("/auth/sign-in");
    }).catch(quietly);
    place.append(el("div", { id: "blank" }));
  };

  pages["/auth/confirmation-token"] = form("Resend confirmation token", function () { return [field("email", "Email Address")]; }, "Send", function (target) {
    request("POST", "<REACT_APP_URL_SITE_BACKEND>send-confirmation-token", { data: { email: target.email.value } }).then(function (response) { console.log(response.data); }).catch(quietly);
  });

  pages["/auth/reset-password"] = form("Reset password", function () { return [field("email", "Email Address")]; }, "Reset password", function (target) {
    request("POST", "<REACT_APP_URL_SITE_BACKEND>forgotpassword", { data: { email: target.email.value } }).then(function () { app.go("/auth/sign-in"); }).catch(quietly);
  });

  pages["/auth/reset-page"] = function (place) {
    var data = { url: window.location.href };
    function check() { request("POST", "<REACT_APP_URL_SITE_BACKEND>forgot-token", { data: data }).then(function (response) { console.log(response.data); }).catch(quietly); }
    check();
    form("Reset password", function () {
      return [field("password", "New password", "password"), field("confirm", "Confirm new password", "password")];
    }, "Reset password", function (target) {
      // The second field is neither compared nor sent.
      request("POST", "<REACT_APP_URL_SITE_BACKEND>resetpassword", { data: { url: data.url, password: target.password.value } })
        .then(function () { check(); app.go("/auth/sign-in"); }).catch(quietly);
    })(place);
  };

  function apiKey(place) {
    var shown = el("code", { id: "api-key" }, "Loading...");
    function show(response) { shown.textContent = response.data.apikey === undefined ? "Loading..." : response.data.apikey; }
    request("GET", "<REACT_APP_URL_SITE_BACKEND>api-key", { headers: app.bearer() }).then(show).catch(quietly);
    place.append(el("section", {}, [el("h2", {}, "API key"), shown, el("button", { id: "reset-key", onclick: function () {
      request("POST", "<REACT_APP_URL_SITE_BACKEND>api-key", { data: { resetapikey: true }, headers: app.bearer() }).then(show).catch(quietly);
    } }, "Reset")]));
  }

  pages["/auth/profile-page"] = function (place) {
    var name = el("p", { id: "name" }, "Anonymous, ID: unknown"), uploads = el("p", { id: "uploads" }, "0");
    place.append(el("h1", {}, "Profile"), name, uploads, el("a", { href: "/auth/edit-profile" }, "Edit profile"));
    apiKey(place);
    request("GET", "<REACT_APP_URL_SITE_BACKEND>profile", { headers: app.bearer() }).then(function (response) {
      name.textContent = response.data.first_name + " " + response.data.last_name + ", ID: " + response.data.id;
      // Always in the spelling of version 6, and without a catch.
      request("GET", "<REACT_APP_URL_ELASTICSEARCH>user/user/" + response.data.id).then(function (found) {
        uploads.textContent = String(found.data._source.datasets_uploaded);
      });
    }).catch(quietly);
  };

  pages["/auth/edit-profile"] = function (place) {
    form("Edit profile", function () {
      return [field("bio", "Bio"), field("fname", "First name"), field("lname", "Last name"), field("email", "Email"), field("image", "Picture", "file")];
    }, "Save changes", function (target) {
      // Refuses a hyphen in the domain, which the sign-up page takes.
      if (!PROFILE_MAIL.test(target.email.value)) return say("Please enter valid email");
      if (target.image.files.length > 0) {
        var data = new FormData();
        data.append("file", target.image.files[0]);
        request("POST", "<REACT_APP_URL_SITE_BACKEND>image", { data: data, headers: app.bearer() }).catch(quietly);
      }
      request("POST", "<REACT_APP_URL_SITE_BACKEND>profile", { data: values(target, { bio: "bio", first_name: "fname", last_name: "lname", email: "email" }), headers: app.bearer() })
        .then(function (response) { if (response.data.msg === "User information changed") app.go("/auth/profile-page"); }).catch(quietly);
    })(place);
    request("GET", "<REACT_APP_URL_SITE_BACKEND>profile", { headers: app.bearer() }).then(function (response) {
      document.getElementById("bio").value = response.data.bio;
      document.getElementById("fname").value = response.data.first_name;
      document.getElementById("lname").value = response.data.last_name;
      document.getElementById("email").value = response.data.email;
    }).catch(quietly);
  };

  var LICENCES = ["Public Domain (CCO)", "Publicly available", "Attribution (CC BY)", "Attribution-ShareAlike (CC BY-SA)",
    "Attribution-NoDerivs (CC BY-ND)", "Attribution-NonCommercial (CC BY-NC)",
    "Attribution-NonCommercial-ShareAlike (CC BY-NC-SA)", "Attribution-NonCommercial-NoDerivs (CC BY-NC-ND)"];
  pages["/auth/upload-dataset"] = function (place) {
    // `false` until somebody touches the list, although it shows its first entry.
    var licence = false;
    form("Dataset Upload", function () {
      var list = el("select", { id: "licence", onchange: function (event) { licence = event.target.value; } }, LICENCES.map(function (name) { return el("option", {}, name); }));
      return [field("datasetname", "Dataset name"), field("description", "Description"), field("creator", "Creator"), field("contributor", "Contributor(s)"),
        field("collection_date", "Collection date"), field("language", "Language"), el("p", {}, [el("label", { for: "licence" }, "Licence"), list]),
        field("def_tar_att", "Default target attribute"), field("ignore_attribute", "Ignore attribute"), field("citation", "Citation"), field("dataset", "File", "file")];
    }, "Upload dataset", function (target) {
      place.append(el("dialog", { open: "", id: "spinner" }, "Your Dataset is uploading"));
      if (target.dataset.files.length === 0) return;
      var metadata = {
        dataset_name: target.datasetname.value, description: target.description.value, creator: target.creator.value,
        contributor: target.contributor.value, collection_date: target.collection_date.value, licence: licence,
        language: target.language.value, ignore_attribute: target.ignore_attribute.value, def_tar_att: target.def_tar_att.value,
        citation: target.citation.value
      };
      var data = new FormData();
      data.append("dataset", target.dataset.files[0]);
      data.append("metadata", new Blob([JSON.stringify(metadata)], { type: "application/json" }));
      request("POST", "<REACT_APP_URL_SITE_BACKEND>data-upload", { data: data, headers: app.bearer() }).then(function (response) {
        if (response.data.msg === "dataset uploaded") app.go("/search?type=data&status=active&sort=date");
        else if (response.data.msg === "format not supported") say("Data format not supported");
      }).catch(function (error) { console.log(error); });
    })(place);
  };

  pages["/auth/upload-task"] = form("Task Upload", function () {
    return [field("dataset_id", "Dataset ID"), el("div", { id: "tasktype" }, "Classification"), field("target_name", "Target"), field("evaluation_measure", "Measure")];
  }, "Upload task", function (target) {
    // The list is no form field: this throws, and nothing is ever sent.
    request("POST", "<REACT_APP_URL_SITE_BACKEND>upload-task", { data: { task_type: target.tasktype.value }, headers: app.bearer() });
  });

  function collection(path, title, endpoint, names) {
    pages[path] = form(title, function () { return Object.keys(names).map(function (key) { return field(names[key], key); }); }, "Upload collection", function (target) {
      request("POST", endpoint, { data: values(target, names), headers: app.bearer() }).then(function (response) {
        if (response.data.msg === "collection uploaded") app.go("/");
      }).catch(function () { say("Could not upload collection"); });
    });
  }
  collection("/auth/upload-collection-runs", "Run collection", "<REACT_APP_URL_SITE_BACKEND>upload-collection-runs",
    { description: "description", collectionname: "collectionname", run_ids: "run_ids", benchmark: "benchmark" });
  collection("/auth/upload-collection-tasks", "Task collection", "<REACT_APP_URL_SITE_BACKEND>upload-collection-tasks",
    { description: "description", collectionname: "collectionname", taskids: "taskids" });

  var EDITED = { description: "description", creator: "creator", date: "collection_date", citation: "citation", language: "language" };
  var CRITICAL = { default_target_attribute: "default_target_attribute", ignore_attribute: "ignore_attribute", row_id_attribute: "row_id_attribute" };
  var ADDRESSES = { original_data_url: "original_data_url", paper_url: "paper_url" };
  pages["/auth/data-edit"] = function (place) {
    var options = { headers: app.bearer(), params: { url: window.location.href } };
    // No catch here: without an answer the form stays empty.
    request("GET", "<REACT_APP_URL_SITE_BACKEND>data-edit", options).then(function (response) {
      var owner = response.data.owner === "true";
      var names = owner ? Object.assign({}, EDITED, CRITICAL, ADDRESSES) : Object.assign({}, EDITED, ADDRESSES);
      form("Edit " + response.data.name, function () { return Object.keys(names).map(function (key) { return field(names[key], key, "area"); }); }, "Edit Dataset", function (target) {
        var data = Object.assign({ owner: owner ? "true" : "false" }, values(target, names));
        request("POST", "<REACT_APP_URL_SITE_BACKEND>data-edit", { data: data, headers: options.headers, params: options.params })
          .then(function () { if (!owner) app.go("/"); }).catch(function () { say("Cannot edit"); });
      })(place);
      Object.keys(names).forEach(function (key) {
        var value = response.data[key];
        document.getElementById(names[key]).value = value === null ? "" : String(value);
      });
    });
  };

  pages["/feedback"] = form("Feedback", function () { return [field("email", "Email (optional)"), field("feedback", "Feedback", "area")]; }, "Send feedback", function (target) {
    request("POST", "<REACT_APP_URL_SITE_BACKEND>feedback", { data: { email: target.email.value, feedback: target.feedback.value } })
      .then(function (response) { if (response.data.msg === "Email sent") say("Thank you. We'll get back to you"); }).catch(quietly);
  });
  ["404", "500"].forEach(function (code) { pages["/auth/" + code] = function (place) { place.append(el("h1", {}, code)); }; });
})();
//# sourceMappingURL=214.9c3e5b70.chunk.js.map
