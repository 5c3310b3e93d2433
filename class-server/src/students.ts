/** The students of a class: the hashes of their keys, and their settings. */

import { RefusedError } from './errors';
import type { RosterStudent } from './roster';
import {
  STUDENT_DEFAULTS,
  STUDENT_PARSERS,
  changeSettings,
  type StudentSettings
} from './settings';

export interface Student {
  name: string;
  settings: StudentSettings;
  revoked: boolean;
}

const NOT_FOUND = 404;
const CONFLICT = 409;
const NO_ROUTE = 7000;

export class Students {
  constructor(private readonly sql: SqlStorage) {
    sql.exec(`
      CREATE TABLE IF NOT EXISTS students(
        name TEXT PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
        revoked INTEGER NOT NULL
      ) WITHOUT ROWID;
    `);
  }

  list(): Student[] {
    return this.#select('TRUE ORDER BY name');
  }

  findByKey(keyHash: string): Student | undefined {
    return this.#select('key_hash = ?', keyHash)[0];
  }

  /** Return a student. Refuse a name that is not in the class. */
  get(name: string): Student {
    const [student] = this.#select('name = ?', name);
    if (!student) {
      throw new RefusedError({
        status: NOT_FOUND,
        code: NO_ROUTE,
        message: `${name} is not in the class. GET /admin/students lists the names.`
      });
    }
    return student;
  }

  /** Add the students of a roster who are not in the class. */
  addMissing(students: RosterStudent[]): void {
    for (const { name, key_hash, settings } of students) {
      this.sql.exec(
        'INSERT OR IGNORE INTO students VALUES (?, ?, ?, 0)',
        name,
        key_hash,
        JSON.stringify(
          changeSettings(STUDENT_DEFAULTS, STUDENT_PARSERS, settings)
        )
      );
    }
  }

  /** Add a student, or a revoked one again. */
  add(name: string, keyHash: string, settings: StudentSettings): Student {
    const [known] = this.#select('name = ?', name);
    if (known && !known.revoked) {
      throw new RefusedError({
        status: CONFLICT,
        code: NO_ROUTE,
        message: `${name} has a key already. Renew it, or revoke it first.`
      });
    }
    this.sql.exec(
      'INSERT OR REPLACE INTO students VALUES (?, ?, ?, 0)',
      name,
      keyHash,
      JSON.stringify(settings)
    );
    return this.get(name);
  }

  /** Replace the key of a student. The old key is not valid any more. */
  renew(name: string, keyHash: string): Student {
    this.get(name);
    this.sql.exec(
      'UPDATE students SET key_hash = ?, revoked = 0 WHERE name = ?',
      keyHash,
      name
    );
    return this.get(name);
  }

  change(name: string, settings: StudentSettings): Student {
    this.sql.exec(
      'UPDATE students SET settings = ? WHERE name = ?',
      JSON.stringify(settings),
      name
    );
    return this.get(name);
  }

  revoke(name: string): Student {
    this.get(name);
    this.sql.exec('UPDATE students SET revoked = 1 WHERE name = ?', name);
    return this.get(name);
  }

  #select(where: string, ...values: string[]): Student[] {
    return this.sql
      .exec<{ name: string; settings: string; revoked: number }>(
        `SELECT name, settings, revoked FROM students WHERE ${where}`,
        ...values
      )
      .toArray()
      .map(row => ({
        name: row.name,
        settings: {
          ...STUDENT_DEFAULTS,
          ...(JSON.parse(row.settings) as Partial<StudentSettings>)
        },
        revoked: row.revoked === 1
      }));
  }
}
