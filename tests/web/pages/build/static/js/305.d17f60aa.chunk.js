/* The search page: a list, and the details of one. */
(function () {
  "use strict";
  var app = window.standIn, el = app.element, request = app.request;
  // Unlike the sidebar's, this comparison is made at run time.
  var MODERN = "<REACT_APP_ELASTICSEARCH_VERSION_MAYOR>" >= 8;
  var MINIO = { REACT_APP_URL_MINIO: "<REACT_APP_URL_MINIO>" };
  var FIELDS = { user: ["user_id", "first_name", "last_name", "bio", "image", "date"], data: ["data_id", "name", "status", "runs", "version", "description", "date"] };
  var attempts = 0;

  function search(type, query) {
    var url = MODERN ? "<REACT_APP_URL_ELASTICSEARCH>" + type + "/_search" : "<REACT_APP_URL_ELASTICSEARCH>" + type + "/" + type + "/_search?type=" + type;
    var filters = [];
    query.forEach(function (value, key) {
      if (["type", "id", "sort", "order", "query"].includes(key)) return;
      // Any status: no filter.
      if (value === "any") return;
      var parts = value.split("_");
      if (["gte", "lte"].includes(parts[0]) && parts.length === 2) filters.push({ range: { [key]: { [parts[0]]: parts[1] } } });
      else if (parts[0] === "between") filters.push({ range: { [key]: { gte: parts[1], lte: parts[2] } } });
      else if (key === "tags") filters.push({ nested: { path: "tags", query: { term: { "tags.tag": value.toLowerCase() } } } });
      else filters.push({ term: { [key]: value } });
    });
    var text = query.get("query");
    return request("POST", url, { data: {
      from: 0, size: 50,
      query: { bool: { must: text ? { query_string: { query: text } } : { match_all: {} }, filter: filters, should: [{ term: { visibility: "public" } }], minimum_should_match: 1 } },
      aggs: { type: { terms: { field: MODERN ? "_index" : "_type" } } },
      _source: FIELDS[type] || [type + "_id", "name", "date"],
      sort: { [query.get("sort") || "date"]: { order: query.get("order") || "desc" } }
    } }).then(function (response) {
      var total = response.data.hits.total;
      return { count: MODERN ? total.value : total, hits: response.data.hits.hits };
    });
  }

  function list(place, type, query) {
    attempts += 1;
    search(type, query).then(function (found) {
      place.append(el("h2", { id: "count" }, String(found.count)), el("ol", { id: "results" }, found.hits.map(function (hit) {
        var source = hit._source;
        // Without a last name this throws, and the page asks again.
        var text = type === "user" ? source.first_name.charAt(0) + source.last_name.charAt(0) + " " + source.first_name : source.name;
        return el("li", {}, el("a", { href: "/search?type=" + type + "&id=" + hit._id }, text));
      })));
    }).catch(function (error) {
      // The SPA asks again at once and never stops; this one stops after fifty, for the sake of the tests.
      console.log(error);
      if (attempts < 50) list(place, type, query);
    });
  }

  // What the pages read of a document, without looking whether it is there.
  function facts(place, type, source) {
    var list = function (name, items) { place.append(el("ul", { id: name }, items.map(function (item) { return el("li", {}, item); }))); };
    if (type === "data") {
      place.append(el("p", { id: "id" }, "ID: " + source.data_id.toString()), el("p", { id: "date" }, source.date.split(" ")[0]),
        el("a", { id: "uploader", href: "/search?type=user&id=" + source.uploader_id }, source.uploader.charAt(0) + source.uploader.slice(1)),
        el("a", { id: "versions", href: "/search?type=data&sort=version&status=any&order=asc&exact_name=" + source.name }, "Version history"),
        el("p", { id: "features-count" }, source.features.length + " Features"), el("p", { id: "description" }, source.description));
      list("features", source.features.map(function (m) { return m.name + (m.target ? " (target)" : "") + " " + m.type; }));
      list("qualities", Object.keys(source.qualities).map(function (m) { return m + " " + source.qualities[m]; }));
      list("tags", source.tags.map(function (t) { return "" + t.tag; }));
    } else if (type === "task") {
      place.append(el("p", { id: "task" }, source.tasktype.name + " on " + source.source_data.name + ", " + source.target_feature + ", " + source.estimation_procedure.name));
      list("tags", source.tags.map(function (t) { return "" + t.tag; }));
    } else if (type === "study") {
      place.append(el("p", { id: "included" }, source.datasets_included + " data, " + source.tasks_included + " tasks, " + source.date.split(" ")[0] + " by " + source.uploader.charAt(0)), el("p", { id: "description" }, source.description));
    } else if (type === "user") {
      place.append(el("p", { id: "initials-of" }, source.first_name.charAt(0) + source.last_name.charAt(0)), el("p", { id: "uploads-of" }, source.datasets_uploaded + " datasets, " + source.tasks_uploaded + " tasks"));
    }
  }

  function detail(place, type, id) {
    var url = MODERN ? "<REACT_APP_URL_ELASTICSEARCH>" + type + "/_doc/" + id : "<REACT_APP_URL_ELASTICSEARCH>" + type + "/" + type + "/" + id;
    request("GET", url, { headers: { "Content-Type": "application/json" } }).then(function (response) {
      if (response.data.found !== true) {
        place.append(el("h1", { id: "missing" }, "No " + type + " with id " + id + " found. It may have been removed or renamed"));
        return;
      }
      var source = response.data._source;
      place.append(el("h1", { id: "title" }, source.name || source.first_name));
      facts(place, type, source);
      if (type === "data") {
        place.append(
          el("a", { id: "xml", href: "<REACT_APP_URL_API>api/v1/data/" + id }, "xml"), " ",
          el("a", { id: "json", href: "<REACT_APP_URL_API>api/v1/json/data/" + id }, "json"), " ",
          el("a", { id: "croissant", href: "croissant/dataset/" + id, download: "dataset_" + id + "_croissant.json" }, "Croissant")
        );
        request("GET", "croissant/dataset/" + id).then(function (croissant) {
          place.append(el("script", { type: "application/ld+json" }, JSON.stringify(croissant.data)));
        }).catch(function (error) { console.log(error); });
      }
      place.append(el("iframe", { id: "analysis", sandbox: "allow-popups allow-scripts allow-same-origin allow-top-navigation", src: "/dashboard/" + type + "/" + id }));
    }).catch(function () { document.body.replaceChildren(); });
  }

  app.pages["/search"] = function (place) {
    var query = new URLSearchParams(location.search), type = query.get("type") || "data";
    if (type === "benchmark") type = "study";
    attempts = 0;
    if (query.get("id")) detail(place, type, query.get("id"));
    else list(place, type, query);
  };
  window.standIn.minio = MINIO;
})();
//# sourceMappingURL=305.d17f60aa.chunk.js.map
