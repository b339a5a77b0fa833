// Package apiserver is a Kubernetes API server in memory, true to the real one wherever a controller can tell.
//
// Clients reach it through Server.Config, without a socket, or through Server.Do, without HTTP. It is what tests stop a
// host against after every single write, and what the command line renders into. Built-in kinds have their real schemas,
// custom kinds those of their CustomResourceDefinitions; server-side apply, conflicts and managedFields are the work of the
// same libraries as in the real one. The tests in the folder differential do the same on both servers and compare objects,
// answers and managedFields.
//
// The files: server.go and change.go are the storage, request.go takes requests apart, write.go carries out writes with
// managed.go, prepare.go and delete.go (atonce.go knows what comes of the plainest applies without those libraries), and collect.go stands for the controllers that clean up. kind.go says what a kind
// is, builtin.go, immutable.go and custom.go what its schema is, with tree.go and
// shape.go to go through one quickly, types.go how server-side apply sees that, with atonce.go and owned.go for what is usual. http.go, watch.go,
// discovery.go and openapi.go are what clients talk to.
//
// Nothing happens by itself: there is no garbage collector but CollectGarbage, no controller, no scheduler, no kubelet. Times
// come from Options.Now; UIDs and generated names are the same in each run.
//
// What differs from a real server:
//
//   - Built-in kinds have few defaults: replicas, the protocol of ports, a Secret's type, and what a namespace is born with.
//     A Service has no clusterIP that it was not given, a Job no selector, a Pod no phase.
//   - Built-in kinds are hardly validated: metadata, types of fields, the selectors of workloads, and the immutable fields in
//     immutable.go, some of which are coarser (a Job's template is immutable even while it is suspended). A write of status is not validated.
//   - Some built-in kinds and older versions of others are not served, see builtin.go.
//   - A CustomResourceDefinition is served as soon as it is stored, lists in it are owned as a whole, and it goes at once,
//     with all objects of its kind. Options.CRDs and Install serve a kind without storing its definition.
//   - Custom kinds: no CEL rules, no ratcheting, no conversion webhooks (versions are taken to have the same fields), no
//     metadata of embedded objects, no scale subresource, no selectable fields.
//   - A write of status changes nothing else; of some built-in kinds the real one lets annotations and labels through.
//   - An update never creates, which for a few built-in kinds it may, and a Pod is deleted without a grace period.
//   - No strategic merge patches, no deletecollection, no protobuf, tables or metadata-only answers, no warnings, no limits to
//     the size of requests or lists (limit and continue are ignored), no subresources but status, no access control, no
//     aggregated discovery. Field selectors know metadata.name and metadata.namespace.
//   - Every list and get is as of now, whatever resourceVersion it asks for.
package apiserver
