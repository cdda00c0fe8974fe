// Calls that a tab of a run begins with. They are sent with those of the head, while the tab's program is still on its way.

import { param } from "../core/url.js";

/** @typedef {[endpoint: string, body: Record<string, any>]} Call */

/** The series that have curves. @param {string} id @returns {[Call, Call]} */
export const seriesCalls = (id) => [
  ["events.get_scalar_metrics_and_variants", { task: id }],
  ["events.get_task_metrics", { tasks: [id], event_type: "training_stats_scalar" }],
];

/** Lines that are read at once. */
export const LOG_PAGE = 500;

/** The last page of the log, or more. @param {string} id @returns {Call} */
export const logEnd = (id) => ["events.get_task_log_lines", { task: id, position: 2 ** 40, count: LOG_PAGE }];

/** Which steps have images. @param {string} id @returns {Call} */
export const imageIndex = (id) => ["events.get_image_index", { tasks: [id] }];

/** Every variant's newest image, up to a step if one is given. @param {string} id @param {number} [step] @returns {Call} */
export const images = (id, step) => ["events.get_debug_image_samples", { tasks: [id], ...(step === undefined ? {} : { iteration: step }) }];

/** @param {string} id @returns {Call[]} */
export const imageCalls = (id) => [["server.page", {}], imageIndex(id), ...(param("at") ? [] : [images(id)])];
